"""Networks on the meta device, without initial values, which saves half of the building time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from search_spaces.space import Architecture

_RANDOM = {torch.Tensor.normal_, torch.Tensor.uniform_}


def build_on_meta(architecture: Architecture, in_channels: int, out_channels: int) -> nn.Module:
    """The network of `architecture`, with shapes and no values."""
    return on_meta(partial(architecture.build, in_channels, out_channels))


def on_meta(make: Callable[[], nn.Module]) -> nn.Module:
    """What `make` makes, with shapes and no values."""
    with torch.device("meta"), _Uninitialised():
        return make()


class _Uninitialised(TorchFunctionMode):
    """Leaves tensors as they are where they would get initial values."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        named = kwargs or {}
        if func in _RANDOM or getattr(func, "__module__", None) == nn.init.__name__:
            return args[0] if args else named["tensor"]
        return func(*args, **named)
