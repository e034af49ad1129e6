"""Instance and group norms whose large planes CUDA computes in the faster of two ways."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import TypeVar

import torch
from torch import nn
from torch.nn.functional import group_norm, instance_norm
from torch.nn.modules.instancenorm import _InstanceNorm

from search_spaces.blocks.exporting import exporting
from search_spaces.blocks.first_use import is_better
from search_spaces.blocks.spread_norm import spread_norm

LARGE = 2**15  # voxels of a plane (32^3) with which one block of threads is long at work

Network = TypeVar("Network", bound=nn.Module)


def spread_norms(network: Network) -> Network:
    """The network itself, its instance and group norms turned into those below.

    Parameters and state dict stay as they are, and so does what is computed, but for large planes
    on CUDA: they go the way of `spread_norm` where that is seen to be right and faster.
    """
    for module in network.modules():
        running = getattr(module, "track_running_stats", False)
        if (kind := _SPREAD.get(type(module))) and not running:
            module.__class__ = kind
    return network


class _SpreadInstanceNorm(_InstanceNorm):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not _is_large(x):
            return super().forward(x)
        return _large(x, self.weight, self.bias, None, self.eps)


class SpreadInstanceNorm2d(_SpreadInstanceNorm, nn.InstanceNorm2d):
    """`nn.InstanceNorm2d`; see `spread_norms`."""


class SpreadInstanceNorm3d(_SpreadInstanceNorm, nn.InstanceNorm3d):
    """`nn.InstanceNorm3d`; see `spread_norms`."""


class SpreadGroupNorm(nn.GroupNorm):
    """`nn.GroupNorm`; see `spread_norms`."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not _is_large(x):
            return super().forward(x)
        return _large(x, self.weight, self.bias, self.num_groups, self.eps)


_SPREAD: Mapping[type[nn.Module], type[nn.Module]] = {
    nn.InstanceNorm2d: SpreadInstanceNorm2d,
    nn.InstanceNorm3d: SpreadInstanceNorm3d,
    nn.GroupNorm: SpreadGroupNorm,
}


def _is_large(x: torch.Tensor) -> bool:
    """Whether x (B, C, *S) has large planes on CUDA, and computes something here and now.

    Not where runs are to repeat digit for digit (`torch.backends.cudnn.deterministic`): here times
    choose, and they differ.
    """
    recorded = exporting() or torch.compiler.is_compiling()
    if not x.is_cuda or recorded or torch.backends.cudnn.deterministic:
        return False
    return x.dim() > 3 and math.prod(x.shape[2:]) >= LARGE


def _large(
    x: torch.Tensor,
    weight: torch.Tensor | None,
    bias: torch.Tensor | None,
    groups: int | None,
    eps: float,
) -> torch.Tensor:
    """The better way to normalise x (B, C, *S); `groups` None is instance norm."""
    name = "instance norm" if groups is None else f"norm of {groups} groups"
    standard, spread = (partial(way, groups=groups, eps=eps) for way in (by_torch, by_spreading))
    better = is_better(name, spread, standard, x, (weight, bias))
    return (spread if better else standard)(x, weight, bias)


def by_torch(
    x: torch.Tensor,
    weight: torch.Tensor | None,
    bias: torch.Tensor | None,
    groups: int | None,
    eps: float,
) -> torch.Tensor:
    """What the module of torch computes."""
    if groups is None:
        return instance_norm(x, weight=weight, bias=bias, eps=eps)
    return group_norm(x, groups, weight, bias, eps)


def by_spreading(
    x: torch.Tensor,
    weight: torch.Tensor | None,
    bias: torch.Tensor | None,
    groups: int | None,
    eps: float,
) -> torch.Tensor:
    """The same by `spread_norm`; as under torch's autocast, groups are normalised in float32."""
    if groups is not None and torch.is_autocast_enabled(x.device.type):
        x = x.float()
    return spread_norm(x, groups or x.shape[1], weight, bias, eps)
