"""The memory of one training step."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


@dataclass(frozen=True)
class TrainingMemory:
    """Bytes: `weights`; `kept` beside them from the forward to the backward pass; `peak`, the most
    beside them at any time, gradients included."""

    weights: int
    kept: int
    peak: int


def training_memory(network: nn.Module, x: torch.Tensor) -> TrainingMemory:
    """Measure a forward and backward pass of `network`, in the mode it is in, on x (B, C, *S).

    On CUDA the allocator tells; elsewhere every tensor that lives is added up, at its storage's
    size. The gradients of the parameters are there afterwards.
    """
    weights = sum(p.numel() * p.element_size() for p in network.parameters())
    if x.is_cuda:
        torch.cuda.reset_peak_memory_stats(x.device)
        before = torch.cuda.memory_allocated(x.device)
        loss = network(x).square().mean()
        kept = torch.cuda.memory_allocated(x.device) - before
        loss.backward()
        peak = torch.cuda.max_memory_allocated(x.device) - before
    else:
        with LiveTensors([x, *network.parameters(), *network.buffers()]) as live:
            loss = network(x).square().mean()
            kept = live.now
            loss.backward()
        peak = live.peak
    return TrainingMemory(weights, kept, peak)


class LiveTensors(TorchDispatchMode):
    """`now`: bytes of the tensors made within it that live. `peak`: the most there ever were.

    Tensors given as `known` do not count.
    """

    def __init__(self, known: Iterable[torch.Tensor]) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._sizes = {t.untyped_storage()._cdata: 0 for t in known}

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, torch.Tensor):
                self._count(leaf.untyped_storage())
        return result

    def _count(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        if key not in self._sizes:
            self._sizes[key] = storage.nbytes()
            self.now += storage.nbytes()
            self.peak = max(self.peak, self.now)
            weakref.finalize(storage, self._forget, key)

    def _forget(self, key: int) -> None:
        self.now -= self._sizes.pop(key)
