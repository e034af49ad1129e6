"""Under CUDA's autocast, all weights of a network cast to half precision at once."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any
from weakref import WeakSet

import torch
from torch import nn
from torch.func import functional_call
from torch.nn.modules.conv import _ConvNd

from trainers.errors import first_line

_log = logging.getLogger(__name__)
_refused: WeakSet[nn.Module] = WeakSet()


def forward_narrow(network: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """`network(x)`; under CUDA's autocast with its weights cast together.

    Autocast casts every weight and bias by a kernel of its own, and every gradient back.
    """
    narrow = x.is_cuda and torch.is_autocast_enabled("cuda")
    return try_narrow(network, x, torch.get_autocast_dtype("cuda")) if narrow else network(x)


def try_narrow(network: nn.Module, x: torch.Tensor, kind: torch.dtype) -> torch.Tensor:
    """`call_narrow`; where the network does not run so, since it computes some of its layers
    outside of autocast, `network(x)` from then on, and a line in the log."""
    if network not in _refused:
        try:
            return call_narrow(network, x, kind)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            reason = first_line(error)
        result: torch.Tensor = network(x)  # raises as well where the weights are not the reason
        _refused.add(network)
        _log.info("%s: its weights are cast one by one: %s", type(network).__name__, reason)
        return result
    return network(x)


def call_narrow(network: nn.Module, x: torch.Tensor, kind: torch.dtype) -> torch.Tensor:
    """`network(x)` with the float32 weights and biases of convolutions and linear layers in `kind`.

    Values and gradients are those of autocast to `kind`, in which it is to be called.
    """
    layers = (m for m in network.modules() if isinstance(m, _ConvNd | nn.Linear))
    cast = {id(p) for layer in layers for p in layer.parameters(recurse=False)}
    wide = {
        name: p
        for name, p in network.named_parameters()
        if id(p) in cast and p.dtype == torch.float32
    }
    narrow = dict(zip(wide, _CastTogether.apply(kind, *wide.values()), strict=True))
    result: torch.Tensor = functional_call(network, narrow, (x,))
    return result


class _CastTogether(torch.autograd.Function):
    """Tensors in another type, and their gradients back, by a copy of them all."""

    @staticmethod
    def forward(ctx: Any, kind: torch.dtype, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        ctx.set_materialize_grads(False)  # a weight that is not used has none
        return tuple(_copied(tensors, kind))

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor | None) -> tuple[torch.Tensor | None, ...]:
        wide = iter(_copied([g for g in gradients if g is not None], torch.float32))
        return None, *(None if g is None else next(wide) for g in gradients)


def _copied(tensors: Sequence[torch.Tensor], kind: torch.dtype) -> list[torch.Tensor]:
    made = [torch.empty_like(t, dtype=kind) for t in tensors]
    torch._foreach_copy_(made, list(tensors))
    return made
