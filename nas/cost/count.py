"""Parameters and multiply-accumulates, counted without running anything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from search_spaces.space import Architecture

aten = torch.ops.aten
_NORMS = {aten.native_batch_norm, aten.native_group_norm, aten.native_layer_norm}
_ACTIVATIONS = {aten.silu, aten.silu_, aten.gelu, aten.relu, aten.relu_}


@dataclass(frozen=True)
class Cost:
    """`params`: trainable parameters. `macs`: multiply-accumulates of one forward pass, batch 1.

    Where the input decides how much is computed, `macs` is the most and `macs_least` the least
    (None elsewhere).
    `named`: the shares of `macs` that no formula of torch's covers, such as the selective scan.
    """

    params: int
    macs: int
    macs_least: int | None = None
    named: Mapping[str, int] = field(default_factory=dict)

    @property
    def flops(self) -> int:
        """Two floating-point operations a multiply-accumulate."""
        return 2 * self.macs


def count_params(network: nn.Module) -> int:
    """Trainable parameters."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


def count_macs(network: nn.Module, shape: tuple[int, ...]) -> int:
    """Multiply-accumulates of one eval-mode pass of a `network` built on the meta device.

    Counts convolutions, transposed ones at their true cost, linear layers and matrix products,
    attention included, and what modules tell of themselves by `own_macs(*inputs)`, a mapping of
    names to counts that stands for all they compute. The meta device is a must: on others torch
    takes fused paths through attention that its formulas do not know.
    """
    return _count(network, shape).macs


def cost_of(
    architecture: Architecture,
    in_channels: int,
    out_channels: int,
    patch: tuple[int, ...],
    kept: float = 1.0,
) -> Cost:
    """The exact cost of `architecture` for one patch (D, H, W), or (H, W) where it takes one.

    `kept`: the share of the queries computed by a network that lets its input decide.
    """
    with torch.device("meta"):
        network = architecture.build(in_channels, out_channels)
    shape = (1, in_channels, *patch)
    counter = _count(network, shape, kept)
    varies = any(hasattr(module, "assumed_kept") for module in network.modules())
    least = _count(network, shape, 0.0).macs if varies else None
    return Cost(count_params(network), counter.macs, least, dict(counter.named))


def _count(network: nn.Module, shape: tuple[int, ...], kept: float = 1.0) -> _MacCounter:
    """Counts a pass in which every module with `assumed_kept` keeps that share of its queries."""
    was_training = network.training
    with ExitStack() as stack:
        stack.callback(network.train, was_training)
        stack.enter_context(torch.no_grad())
        counter = stack.enter_context(_MacCounter())
        for module in network.modules():
            if hasattr(module, "assumed_kept"):
                module.assumed_kept = kept  # type: ignore[assignment]
            if hasattr(module, "own_macs"):
                stack.callback(module.register_forward_pre_hook(counter.enter).remove)
                stack.callback(module.register_forward_hook(counter.leave).remove)
        network.eval()(torch.empty(shape, device="meta"))
    return counter


class _MacCounter(TorchDispatchMode):
    """Adds up torch's own formulas, two FLOPs a multiply-accumulate.

    Norms and activations have none and keep the shape; on the meta device they are slow Python
    decompositions, half of all time, and so hand on their input instead.
    """

    def __init__(self) -> None:
        super().__init__()
        self.macs = 0
        self.named: Counter[str] = Counter()
        self._inside = 0  # modules that count for themselves

    def enter(self, module: nn.Module, inputs: tuple[Any, ...]) -> None:
        """Forward pre-hook of a module with `own_macs`."""
        if not self._inside:
            told = module.own_macs(*inputs)  # type: ignore[operator]
            self.named.update(told)
            self.macs += sum(told.values())
        self._inside += 1

    def leave(self, *_: Any) -> None:
        """Forward hook of a module with `own_macs`."""
        self._inside -= 1

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        operator, named = func.overloadpacket, kwargs or {}  # type: ignore[attr-defined]
        if operator in _NORMS:
            return args[0], args[0], args[0]  # output, mean, deviation: only the first is read
        if operator in _ACTIVATIONS:
            return args[0]
        result = func(*args, **named)
        if not self._inside and (flops := flop_registry.get(operator)):
            self.macs += flops(*args, **named, out_val=result) // 2
        return result
