"""Convolutions, standard or ghost, and the residual unit made of them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import gcd
from typing import Literal

import torch
from torch import nn

from search_spaces.blocks.dimensions import (
    AVERAGE_POOL,
    BATCH_NORM,
    CONV,
    INSTANCE_NORM,
    TRANSPOSED_CONV,
    along_each_axis,
)
from search_spaces.blocks.norms import SpreadGroupNorm, spread_norms
from search_spaces.blocks.prunable import Place, Units, weight_of

ConvKind = Literal["standard", "ghost"]
NormKind = Literal["instance", "batch", "group"]
Size = int | Sequence[int]  # along every axis, or along each


def dense(
    spatial_dims: int,
    in_channels: int,
    out_channels: int,
    stride: Size = 1,
    kernel: Size = 3,
    groups: int = 1,
    bias: bool = True,
) -> nn.Module:
    """A convolution, padded so that stride 1 keeps the size; `kernel` is odd."""
    padding = kernel // 2 if isinstance(kernel, int) else [width // 2 for width in kernel]
    conv = CONV[spatial_dims]
    return conv(in_channels, out_channels, kernel, stride, padding, groups=groups, bias=bias)


def pointwise(spatial_dims: int, in_channels: int, out_channels: int) -> nn.Module:
    """A 1^n convolution."""
    return CONV[spatial_dims](in_channels, out_channels, 1)


def transposed(
    spatial_dims: int, in_channels: int, out_channels: int, factor: Size = 2
) -> nn.Module:
    """From every voxel the `factor` voxels, along each axis, that it covers."""
    return TRANSPOSED_CONV[spatial_dims](in_channels, out_channels, factor, factor)


class GhostConv(nn.Module):
    """Half the channels by convolution, the rest by a depthwise one (GhostNet, Han 2020, Fig. 2).

    x: (B, in_channels, *S) -> (B, out_channels, *ceil(S / stride)). Raises ValueError where
    out_channels is odd.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        out_channels: int,
        stride: Size = 1,
        kernel: Size = 3,
    ) -> None:
        super().__init__()
        if out_channels % 2:
            raise ValueError(f"a ghost convolution needs an even out_channels, not {out_channels}")
        half = out_channels // 2
        self.primary = dense(spatial_dims, in_channels, half, stride, kernel)
        self.cheap = dense(spatial_dims, half, half, kernel=kernel, groups=half)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        primary = self.primary(x)
        return torch.cat([primary, self.cheap(primary)], dim=1)


def make_conv(
    kind: ConvKind,
    spatial_dims: int,
    in_channels: int,
    out_channels: int,
    stride: Size = 1,
    kernel: Size = 3,
) -> nn.Module:
    """A convolution of that kind, padded so that stride 1 keeps the size."""
    make = GhostConv if kind == "ghost" else dense
    return make(spatial_dims, in_channels, out_channels, stride, kernel)


def make_norm(kind: NormKind, spatial_dims: int, channels: int) -> nn.Module:
    """A normalisation with learned scale and shift; `group` has at least four channels a group."""
    if kind == "group":
        groups = max(g for g in (1, 2, 4, 8) if g == 1 or channels % (4 * g) == 0)
        return SpreadGroupNorm(groups, channels)
    norm = INSTANCE_NORM if kind == "instance" else BATCH_NORM
    return spread_norms(norm[spatial_dims](channels, affine=True))


def four_group_norm(channels: int) -> nn.GroupNorm:
    """Group normalisation in four groups, or in two or one where four do not divide `channels`."""
    return SpreadGroupNorm(gcd(4, channels), channels)


def normed_silu(conv: nn.Module, channels: int) -> nn.Sequential:
    """The convolution, to that many channels, `four_group_norm` and SiLU."""
    return nn.Sequential(conv, four_group_norm(channels), nn.SiLU())


class ConvUnit(nn.Sequential):
    """Convolution, normalisation, SiLU. (B, C_in, *S) -> (B, C_out, *ceil(S / stride))."""

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        out_channels: int,
        *,
        conv: ConvKind = "standard",
        norm: NormKind = "instance",
        stride: Size = 1,
        kernel: Size = 3,
    ) -> None:
        super().__init__(
            make_conv(conv, spatial_dims, in_channels, out_channels, stride, kernel),
            make_norm(norm, spatial_dims, out_channels),
            nn.SiLU(inplace=True),
        )


class ResidualUnit(nn.Module):
    """`convs` conv units in a row, with a shortcut around them where `residual` (He 2016).

    (B, C_in, *S) -> (B, C_out, *S / stride). The shortcut of a strided unit is a mean pool and a
    1^n convolution (ResNet-D, He 2019, Fig. 2c), so that no voxel is skipped over.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        out_channels: int,
        *,
        convs: int = 2,
        residual: bool = True,
        conv: ConvKind = "standard",
        norm: NormKind = "instance",
        stride: Size = 1,
        kernel: Size = 3,
    ) -> None:
        super().__init__()
        widths = [in_channels] + [out_channels] * convs
        self.body = nn.Sequential(
            *(
                ConvUnit(
                    spatial_dims,
                    a,
                    b,
                    conv=conv,
                    norm=norm,
                    stride=stride if i == 0 else 1,
                    kernel=kernel,
                )
                for i, (a, b) in enumerate(pairwise(widths))
            )
        )
        self.shortcut = (
            _shortcut(spatial_dims, in_channels, out_channels, stride) if residual else None
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.body(x)
        return y if self.shortcut is None else y + self.shortcut(x)

    @property
    def width(self) -> int:
        """The channels that it gives."""
        return weight_of(self.units[-1][1]).numel()

    @property
    def units(self) -> list[ConvUnit]:
        """The conv units in their row."""
        return [unit for unit in self.body if isinstance(unit, ConvUnit)]

    def prunable(self) -> dict[str, Units]:
        """The channels between a convolution and the next; of ghost ones, with their ghosts."""
        return {f"channels.{i}": _between(*pair) for i, pair in enumerate(pairwise(self.units))}


def _between(unit: ConvUnit, following: ConvUnit) -> Units:
    """The channels that a conv unit gives to the one that follows."""
    conv, norm, reader = unit[0], unit[1], following[0]
    into = reader.primary if isinstance(reader, GhostConv) else reader
    groups = norm.num_groups if isinstance(norm, nn.GroupNorm) else 1
    if isinstance(conv, GhostConv):
        return Units(
            "channels",
            weight_of(conv.cheap).shape[0],
            made=(Place(conv.primary), Place(conv.cheap), Place(norm, before=2)),
            read=(Place(into, before=2),),
            sections=max(1, groups // 2),
        )
    made = (Place(conv), Place(norm))
    count = weight_of(norm).numel()
    return Units("channels", count, made=made, read=(Place(into),), sections=groups)


def _shortcut(spatial_dims: int, in_channels: int, out_channels: int, stride: Size) -> nn.Module:
    steps: list[nn.Module] = []
    if max(factors := along_each_axis(stride, spatial_dims)) > 1:
        steps.append(AVERAGE_POOL[spatial_dims](factors))
    if in_channels != out_channels:
        steps.append(pointwise(spatial_dims, in_channels, out_channels))
    return nn.Sequential(*steps)
