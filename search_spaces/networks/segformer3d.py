"""SegFormer3D: a pyramid of transformer layers with few keys, and a decoder of linear maps."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn
from torch.nn.functional import interpolate

from search_spaces.axes import ALIKE, Axes, Sizes
from search_spaces.blocks.attention import ATTENTION, RECEIVED, product_macs
from search_spaces.blocks.conv import dense
from search_spaces.blocks.resample import resample
from search_spaces.blocks.shared_heads import SharedHeads, without_keys

HEADS = (1, 2, 5, 8)  # of each stage; its channels are as many times those of the first
LAYERS = 2
DECODER = 8  # channels of the decoder over those of the first stage


class SegFormer3D(nn.Module):
    """SegFormer3D (Perera 2024, Sec. 3) as its released code has it; there `width` is 32.

    x: (B, C_in, D, H, W) -> logits (B, C_cls, D, H, W). Maps at 1/4 to 1/32, each of two layers;
    linear maps bring them to one width, interpolation to one grid, a 1^3 convolution together.
    Keys and values of all stages but the deepest are on the grid of the third (at 1/16), whatever
    the axes: a reduction of 4 and 2 along each where all are halved.
    """

    def __init__(self, in_channels: int, out_channels: int, width: int, axes: Axes = ALIKE) -> None:
        super().__init__()
        channels = [width * heads for heads in HEADS]
        factors = [axes.between(0, 2), *map(axes.step, (2, 3, 4))]
        reductions = [axes.between(2, 4), axes.step(3), (1, 1, 1), (1, 1, 1)]
        self.stages = nn.ModuleList(
            Stage(before, here, heads, factor, reduce, kernel=3 if stage else 7)
            for stage, (before, here, heads, factor, reduce) in enumerate(
                zip([in_channels, *channels], channels, HEADS, factors, reductions, strict=False)
            )
        )
        wide = DECODER * width
        self.widen = nn.ModuleList(
            nn.Sequential(nn.Linear(c, wide), nn.LayerNorm(wide)) for c in channels
        )
        self.fuse = nn.Sequential(
            nn.Conv3d(len(HEADS) * wide, wide, 1, bias=False), nn.BatchNorm3d(wide), nn.ReLU()
        )
        self.classify = nn.Conv3d(wide, out_channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y, maps = x, []
        for stage, widen in zip(self.stages, self.widen, strict=True):
            y = stage(y)
            maps.append(widen(y.movedim(1, -1)).movedim(-1, 1))
        size = maps[0].shape[2:]
        fused = self.fuse(torch.cat([resample(m, size) for m in reversed(maps)], dim=1))
        return resample(self.classify(fused), x.shape[2:])


class Stage(nn.Module):
    """Overlapping patches of `kernel` voxels, `factor` apart, then transformer layers.

    (B, C_before, *S) -> (B, C_here, *S / factor).
    """

    def __init__(
        self, before: int, here: int, heads: int, factor: Sizes, reduce: Sizes, kernel: int
    ) -> None:
        super().__init__()
        self.embed = dense(3, before, here, factor, kernel)
        self.enter = nn.LayerNorm(here)
        self.layers = nn.ModuleList(Layer(here, heads, reduce) for _ in range(LAYERS))
        self.leave = nn.LayerNorm(here)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        patches = self.embed(x)
        size = patches.shape[2:]
        z = self.enter(patches.flatten(2).transpose(1, 2))  # (B, N, C)
        for layer in self.layers:
            z = layer(z, size)
        return self.leave(z).transpose(1, 2).unflatten(2, size)


class Layer(nn.Module):
    """`z + attention(LN(z))`, then `z + mlp(LN(z))`; z: (B, N, C) on the grid `size`."""

    def __init__(self, channels: int, heads: int, reduce: Sizes) -> None:
        super().__init__()
        self.attention_norm, self.mlp_norm = nn.LayerNorm(channels), nn.LayerNorm(channels)
        self.attention = ReducedAttention(channels, heads, reduce)
        self.mlp = MixMLP(channels)

    def forward(self, z: torch.Tensor, size: torch.Size) -> torch.Tensor:
        z = z + self.attention(self.attention_norm(z), size)
        return z + self.mlp(self.mlp_norm(z), size)


class ReducedAttention(nn.Module):
    """Attention to keys and values of a coarser grid, which a strided convolution makes (PVT, Wang
    2021, Sec. 3.3). z: (B, N, C) on the grid `size` -> (B, N, C)."""

    def __init__(self, channels: int, heads: int, reduce: Sizes) -> None:
        super().__init__()
        self.attention = SharedHeads(channels, heads, kv_heads=heads)
        self.fewer = math.prod(reduce)
        self.reduce: nn.Module | None = None
        if self.fewer > 1:
            self.reduce = nn.Conv3d(channels, channels, reduce, reduce)  # type: ignore[arg-type]
            self.norm = nn.LayerNorm(channels)

    def forward(self, z: torch.Tensor, size: torch.Size) -> torch.Tensor:
        return self.attention.attend(z, self._seen(z, size)[0])

    def macs_beside_children(self, inputs: tuple[Any, ...], output: torch.Tensor) -> int:
        width = self.attention.heads * self.attention.head_width
        return product_macs(output, width, keys=output.shape[1] // self.fewer)

    def shows(self, inputs: tuple[Any, ...], output: torch.Tensor) -> dict[str, Any]:
        """See `search_spaces.offers`. Every token shows that of the coarser grid."""
        z, size = inputs
        seen, coarse = self._seen(z, size)
        received = self.attention.looked_at(z, seen).unflatten(1, coarse)
        return {ATTENTION: {RECEIVED: interpolate(received[:, None], size).squeeze(1)}}

    def replacements(self) -> dict[str, dict[str, Any]]:
        """See `search_spaces.offers`."""

        def uniform(inputs: tuple[Any, ...], output: torch.Tensor, mean: object) -> torch.Tensor:
            z, size = inputs
            return self.attention.attend(z, without_keys(self._seen(z, size)[0]))

        return {ATTENTION: {"to all alike": uniform}}

    def _seen(self, z: torch.Tensor, size: torch.Size) -> tuple[torch.Tensor, torch.Size]:
        """Keys and values (B, M, kv_width), and the grid that they are of."""
        if self.reduce is None:
            return self.attention.keys_values_of(z)[1], size
        coarse = self.reduce(z.transpose(1, 2).unflatten(2, size))
        tokens = self.norm(coarse.flatten(2).transpose(1, 2))
        return self.attention.keys_values_of(tokens)[1], coarse.shape[2:]


class MixMLP(nn.Module):
    """An MLP with a depthwise 3^3 convolution between its layers, which tells places apart
    (SegFormer, Xie 2021, Eq. 3). z: (B, N, C) on the grid `size` -> (B, N, C)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = 4 * channels
        self.enter, self.leave = nn.Linear(channels, hidden), nn.Linear(hidden, channels)
        self.mix = nn.Sequential(
            dense(3, hidden, hidden, groups=hidden), nn.BatchNorm3d(hidden), nn.GELU()
        )

    def forward(self, z: torch.Tensor, size: torch.Size) -> torch.Tensor:
        hidden = self.mix(self.enter(z).transpose(1, 2).unflatten(2, size))
        return self.leave(hidden.flatten(2).transpose(1, 2))
