"""The decoder stage of LightMedSeg (Sec. 3.6): position bias, skip fusion, three mixed paths."""

from __future__ import annotations

from functools import reduce
from typing import Any

import torch
from torch import nn

from search_spaces.blocks.anchors import PositionBias
from search_spaces.blocks.conv import (
    ConvKind,
    Size,
    dense,
    make_conv,
    normed_silu,
    pointwise,
    transposed,
)
from search_spaces.blocks.squeeze_excite import SqueezeExcite

PATH_MIXING = "path mixing"  # the mechanism; see `search_spaces.offers`


class AdaptiveDecoder(nn.Module):
    """Upsamples, joins the skip, lets every voxel choose among three convolutions, recalibrates.

    x: (B, C_in, *S), skip: (B, C_out, *2S), anchors: (B, K, spatial_dims) or None where `anchors`
    is 0 -> (B, C_out, *2S). `factor`: other factors than 2, by axis; 1 keeps the size, and the
    stage begins with a 1^n convolution. `kernel`: of its 3^n convolutions. Without `mixing` only
    the path of `conv` is left of the three.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        out_channels: int,
        *,
        anchors: int = 0,
        conv: ConvKind = "ghost",
        factor: Size = 2,
        kernel: Size = 3,
        mixing: bool = True,
        squeeze: bool = True,
    ) -> None:
        super().__init__()
        self.enter = (
            pointwise(spatial_dims, in_channels, out_channels)
            if factor == 1
            else transposed(spatial_dims, in_channels, out_channels, factor)
        )
        self.bias = PositionBias(spatial_dims, out_channels, anchors) if anchors else None
        self.fuse = pointwise(spatial_dims, 2 * out_channels, out_channels)
        self.paths: nn.Module = (
            AdaptiveMixing(spatial_dims, out_channels, conv, kernel)
            if mixing
            else normed_silu(
                make_conv(conv, spatial_dims, out_channels, out_channels, kernel=kernel),
                out_channels,
            )
        )
        self.squeeze = SqueezeExcite(out_channels) if squeeze else nn.Identity()

    def forward(
        self, x: torch.Tensor, skip: torch.Tensor, anchors: torch.Tensor | None = None
    ) -> torch.Tensor:
        y = self.enter(x)
        if self.bias is not None and anchors is not None:
            y = y + self.bias(anchors, y.shape[2:])
        return self.squeeze(self.paths(self.fuse(torch.cat([y, skip], dim=1))))


class AdaptiveMixing(nn.Module):
    """A depthwise, a ghost (or standard) and a 1^n path, mixed at every voxel (Eq. 17 to 21).

    x: (B, C, *S) -> (B, C, *S).
    """

    def __init__(
        self, spatial_dims: int, channels: int, conv: ConvKind = "ghost", kernel: Size = 3
    ) -> None:
        super().__init__()
        self.names = ("depthwise", conv, "pointwise")
        convs = (
            dense(spatial_dims, channels, channels, kernel=kernel, groups=channels),
            make_conv(conv, spatial_dims, channels, channels, kernel=kernel),
            pointwise(spatial_dims, channels, channels),
        )
        self.paths = nn.ModuleList(normed_silu(c, channels) for c in convs)
        self.choose = pointwise(spatial_dims, channels, len(convs))

    def weights(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, *S) -> (B, 3, *S), the paths' shares, which sum to one (Eq. 17)."""
        return self.choose(x).softmax(1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shares = self.weights(x).split(1, dim=1)
        return reduce(torch.add, (s * path(x) for s, path in zip(shares, self.paths, strict=True)))

    def shows(self, inputs: tuple[Any, ...], output: torch.Tensor) -> dict[str, Any]:
        """See `search_spaces.offers`."""
        shares = self.weights(inputs[0]).unbind(1)
        return {PATH_MIXING: dict(zip(self.names, shares, strict=True))}

    def replacements(self) -> dict[str, dict[str, Any]]:
        """See `search_spaces.offers`."""

        def uniform(inputs: tuple[Any, ...], output: torch.Tensor, mean: object) -> torch.Tensor:
            return torch.stack([path(inputs[0]) for path in self.paths]).mean(0)

        return {PATH_MIXING: {"uniform shares": uniform}}

    def spends(self) -> dict[str, list[nn.Module]]:
        """See `search_spaces.offers`."""
        return {PATH_MIXING: [self.choose]}
