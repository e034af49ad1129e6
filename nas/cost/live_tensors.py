"""Which tensors live, counted while operators run."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode


def nothing(operator: Any, args: Sequence[Any]) -> int:
    """What an operator takes for itself where nobody knows."""
    return 0


def run(operator: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """The operator itself."""
    return operator(*args, **kwargs)


class LiveTensors(TorchDispatchMode):
    """`now`: bytes of the tensors made within it that live. `peak`: the most there ever were.

    A storage counts once, at its size, however many tensors share it; on the meta device it has a
    size as well. Tensors given as `known` do not count. `compute`: what computes an operator.
    `scratch`: bytes it takes for itself while it works.
    """

    def __init__(
        self,
        known: Iterable[torch.Tensor] = (),
        compute: Callable[..., Any] = run,
        scratch: Callable[..., int] = nothing,
    ) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._compute, self._scratch = compute, scratch
        self._storages: dict[int, weakref.ref[torch.UntypedStorage]] = {}
        for tensor in known:
            self._watch(tensor.untyped_storage(), 0)

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        with torch._C.DisableTorchFunction():  # modes that change functions are above operators
            result = self._compute(func, args, kwargs or {})
        if not func.is_view:  # type: ignore[attr-defined]
            self._count(result)
            self.peak = max(self.peak, self.now + self._scratch(func, args))
        return result

    def _count(self, result: Any) -> None:
        if isinstance(result, torch.Tensor):
            storage = result.untyped_storage()
            if storage._cdata not in self._storages:
                self.now += storage.nbytes()
                self._watch(storage, storage.nbytes())
        elif isinstance(result, tuple | list):
            for each in result:
                self._count(each)

    def _watch(self, storage: torch.UntypedStorage, counted: int) -> None:
        forget = partial(self._forget, storage._cdata, counted)
        self._storages[storage._cdata] = weakref.ref(storage, forget)

    def _forget(self, key: int, counted: int, _: Any) -> None:
        self.now -= counted
        del self._storages[key]
