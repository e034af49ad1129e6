"""Parameters and multiply-accumulates, counted without running anything."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
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
    """`params`: trainable parameters. `macs`: multiply-accumulates of one forward pass, batch 1."""

    params: int
    macs: int

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
    attention included. The meta device is a must: on others torch takes fused paths through
    attention that its formulas do not know.
    """
    was_training = network.training
    try:
        with torch.no_grad(), _MacCounter() as counter:
            network.eval()(torch.empty(shape, device="meta"))
    finally:
        network.train(was_training)
    return counter.macs


def cost_of(
    architecture: Architecture, in_channels: int, out_channels: int, patch: tuple[int, ...]
) -> Cost:
    """The exact cost of `architecture` for one patch (D, H, W)."""
    with torch.device("meta"):
        network = architecture.build(in_channels, out_channels)
    return Cost(count_params(network), count_macs(network, (1, in_channels, *patch)))


class _MacCounter(TorchDispatchMode):
    """Adds up torch's own formulas, two FLOPs a multiply-accumulate.

    Norms and activations have none and keep the shape; on the meta device they are slow Python
    decompositions, half of all time, and so hand on their input instead.
    """

    def __init__(self) -> None:
        super().__init__()
        self.macs = 0

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
        if flops := flop_registry.get(operator):
            self.macs += flops(*args, **named, out_val=result) // 2
        return result
