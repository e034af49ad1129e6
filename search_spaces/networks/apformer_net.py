"""APFormer: a small U-shaped CNN with a pruned transformer as its bridge (Lin 2022)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import nn

from search_spaces.blocks.adaptive_pruning import AdaptivelyPruned
from search_spaces.blocks.conv import NormKind, dense, make_norm
from search_spaces.blocks.dependency_pruning import DependencyPruning
from search_spaces.blocks.dimensions import CONV, MAX_POOL
from search_spaces.blocks.gated_layer import GatedLayer
from search_spaces.blocks.grpe import GRPE
from search_spaces.blocks.mlp import MLP
from search_spaces.blocks.position import sincos_embedding
from search_spaces.blocks.pruned_attention import PrunedAttention
from search_spaces.blocks.query_pruning import QueryGate
from search_spaces.networks.input_size import check_size
from search_spaces.networks.planes import fold_slices, unfold_slices

if TYPE_CHECKING:
    from search_spaces.apformer import APFormer


class APFormerNet(AdaptivelyPruned):
    """Double convolutions and max pooling down, the bridge, upsampling and skips up (Fig. 2).

    x: (B, C_in, *S) -> logits (B, C_cls, *S), S of `spatial_dims` axes; a plane network takes a
    volume (B, C_in, D, H, W) slice by slice. Raises ValueError where an axis is no multiple of the
    stride. Channels of convolutions are those of the paper's released code.
    """

    def __init__(self, point: APFormer, in_channels: int, out_channels: int) -> None:
        super().__init__()
        dims, channels = point.spatial_dims, point.channels
        self.spatial_dims, self.strides = dims, point.strides()
        axes = point.own_axes
        conv = CONV[dims]
        self.encoder = nn.ModuleList(
            double_conv(dims, before, here, here, point.norm, axes.kernel(level))
            for level, (before, here) in enumerate(
                zip([in_channels, *channels], channels, strict=False)
            )
        )
        self.pools = nn.ModuleList(
            MAX_POOL[dims](axes.step(level)) for level in range(point.levels - 1)
        )
        self.bridge = Bridge(point)
        self.narrow = conv(channels[-1], channels[-2], 1, bias=False)
        self.ups, self.decoder = decoder_levels(point, align_corners=True)
        self.head = conv(channels[0], out_channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        check_size(x, self.strides)
        y = fold_slices(x, self.spatial_dims)
        skips: list[torch.Tensor] = []
        for level, encode in enumerate(self.encoder):
            y = encode(self.pools[level - 1](y) if level else y)
            skips.append(y)
        y = self.narrow(self.bridge(skips.pop()))
        for up, decode in zip(self.ups, self.decoder, strict=True):
            y = decode(torch.cat([skips.pop(), up(y)], dim=1))
        return unfold_slices(self.head(y), x)

    def encoder_stages(self) -> list[list[nn.Module]]:
        """Each resolution, the embedding, then each transformer layer; see `offers`."""
        return [[part] for part in (*self.encoder, self.bridge.embed, *self.bridge.layers)]


class Bridge(nn.Module):
    """Transformer layers over the voxels of a feature map, one gate before them all.

    x: (B, C, *S) -> (B, C, *S). A linear map makes the voxels tokens; the MLPs are Eq. 2, with
    ReLU; queries, keys and values have no bias (Eq. 1).
    """

    def __init__(self, point: APFormer) -> None:
        super().__init__()
        channels = point.channels[-1]
        self.sincos = point.position == "sincos"
        self.embed = nn.Linear(channels, channels)
        self.gate = (
            QueryGate(point.spatial_dims, channels, point.confidence) if point.gated else None
        )
        hidden = point.mlp_ratio * channels
        self.layers = nn.ModuleList(
            GatedLayer(channels, self._attention(point), MLP(channels, hidden, activation=nn.ReLU))
            for _ in range(point.layers)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        size = tuple(x.shape[2:])
        if self.gate is not None:
            self.gate(x)
        z = self.embed(x.flatten(2).transpose(1, 2))  # (B, N, C)
        if self.sincos:
            z = z + sincos_embedding(size, z.shape[-1], z.device).to(z.dtype)
        for layer in self.layers:
            z = layer(z, size)
        return z.transpose(1, 2).unflatten(2, size)

    def _attention(self, point: APFormer) -> PrunedAttention:
        rounds = point.rounds
        relative = point.position in ("grpe", "grpe-shared")
        return PrunedAttention(
            point.channels[-1],
            point.heads,
            point.head_channels,
            bias=False,
            queries=None if self.gate is None else self.gate.queries,
            dependencies=None if rounds is None else DependencyPruning(point.head_channels, rounds),
            position=GRPE(
                point.spatial_dims, point.heads, point.reach, shared=point.position == "grpe-shared"
            )
            if relative
            else None,
            regularise=point.regularise,
        )


def decoder_levels(point: APFormer, align_corners: bool) -> tuple[nn.ModuleList, nn.ModuleList]:
    """The interpolations, and the double convolutions behind them, the deepest first."""
    dims, axes, channels = point.spatial_dims, point.own_axes, point.channels
    levels = range(point.levels - 2, -1, -1)
    return (
        nn.ModuleList(upsampling(axes.step(level), align_corners) for level in levels),
        nn.ModuleList(
            double_conv(
                dims,
                2 * channels[level],
                channels[level],
                channels[max(level - 1, 0)],
                point.norm,
                axes.kernel(level),
            )
            for level in levels
        ),
    )


def upsampling(factor: Sequence[int], align_corners: bool) -> nn.Upsample:
    """Linear interpolation to so many times the voxels along each axis."""
    mode = "bilinear" if len(factor) == 2 else "trilinear"
    return nn.Upsample(scale_factor=tuple(factor), mode=mode, align_corners=align_corners)


def double_conv(
    spatial_dims: int,
    in_channels: int,
    between: int,
    out_channels: int,
    norm: NormKind,
    kernel: Sequence[int],
) -> nn.Sequential:
    """Twice a convolution without bias, normalisation and ReLU. Keeps the size."""
    steps: list[nn.Module] = []
    for before, here in ((in_channels, between), (between, out_channels)):
        steps += [
            dense(spatial_dims, before, here, kernel=kernel, bias=False),
            make_norm(norm, spatial_dims, here),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*steps)
