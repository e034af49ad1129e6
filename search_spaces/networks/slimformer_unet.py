"""The U-shaped network of SlimFormer-3D."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from monai.networks.blocks.dynunet_block import UnetOutBlock, UnetResBlock
from monai.networks.blocks.patchembedding import PatchEmbed
from monai.networks.blocks.unetr_block import UnetrUpBlock
from torch import nn
from torch.nn.functional import interpolate

from search_spaces.blocks.conv import transposed
from search_spaces.blocks.gated_layer import gated_layer
from search_spaces.blocks.mixers import make_mixer
from search_spaces.blocks.mlp import MLP
from search_spaces.blocks.norms import spread_norms
from search_spaces.blocks.swin_merging import SwinMerging
from search_spaces.networks.input_size import check_size
from search_spaces.widths import attention_heads

if TYPE_CHECKING:
    from search_spaces.slimformer import SlimFormer

HEAD_WIDTH = 12  # channels of an attention head, at least


class SlimFormerUNet(nn.Module):
    """Patch embedding, gated layers and patch merging downwards, residual convolutions upwards.

    x: (B, C_in, D, H, W) -> logits (B, C_cls, D, H, W). Raises ValueError where D, H or W is not a
    multiple of the stride. SlimFormer-3D, Sec. 2.1 and Fig. 1. The head is a 1^3 convolution on the
    grid of the patches, and trilinear interpolation (`head="interpolate"`, which the published
    counts hold), or a transposed convolution (`head="transposed"`).
    """

    def __init__(self, point: SlimFormer, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.strides = point.strides()
        channels = point.channels
        blocks = len(point.blocks)
        patch = point.factor(0)
        self.embed = PatchEmbed(patch, in_channels, point.width, nn.LayerNorm, 3)
        self.encoder = nn.ModuleList(EncoderBlock(point, level) for level in range(blocks))
        deepest, kernel = channels[-1], point.kernel(blocks)
        self.bottleneck = UnetResBlock(3, deepest, deepest, kernel, 1, "instance")
        self.decoder = nn.ModuleList(
            UnetrUpBlock(
                3,
                channels[level + 1],
                channels[level],
                point.kernel(level),
                point.factor(level + 1),
                "instance",
                res_block=True,
            )
            for level in reversed(range(blocks))
        )
        self.head: nn.Module
        if point.head == "transposed":
            self.head = transposed(3, point.width, out_channels, patch)
        else:
            self.head = UnetOutBlock(3, point.width, out_channels)
        spread_norms(self)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        check_size(x, self.strides)
        y = self.embed(x)
        skips: list[torch.Tensor] = []
        for encode in self.encoder:
            y, skip = encode(y)
            skips.append(skip)
        y = self.bottleneck(y)
        for decode in self.decoder:
            y = decode(y, skips.pop())
        logits = self.head(y)
        if logits.shape[2:] == x.shape[2:]:
            return logits
        return interpolate(logits, size=x.shape[2:], mode="trilinear")

    def encoder_stages(self) -> list[list[nn.Module]]:
        """The embedding, each block, the bottleneck; see `offers`."""
        return [[part] for part in (self.embed, *self.encoder, self.bottleneck)]


class EncoderBlock(nn.Module):
    """Gated layers, then patch merging (8C -> 2C where all axes are halved); the skip is a residual
    convolution block.

    x: (B, C, *S) -> (B, 2C, *S / 2) and the skip (B, C, *S). The published counts hold 4C
    parameters a block, pruned or not, beyond the layers of Eq. 1; here they are the learned scales
    and shifts of the skip's two norms.
    """

    def __init__(self, point: SlimFormer, level: int) -> None:
        super().__init__()
        block, channels = point.blocks[level], point.channels[level]
        heads = attention_heads(channels, HEAD_WIDTH)
        self.layers = nn.ModuleList(
            gated_layer(
                channels,
                gate,
                mixer=lambda: make_mixer(
                    block.mixer, channels, heads, block.window, block.directions
                ),
                mlp=lambda: MLP(channels, block.mlp_ratio * channels),
            )
            for gate in block.gates
        )
        self.merge = SwinMerging(channels, point.factor(level + 1))
        norm = ("instance", {"affine": True})
        self.skip = UnetResBlock(3, channels, channels, point.kernel(level), 1, norm)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        size = tuple(x.shape[2:])
        z = x.flatten(2).transpose(1, 2)  # (B, N, C)
        for layer in self.layers:
            z = layer(z, size)
        merged = self.merge(z.unflatten(1, size)).movedim(-1, 1)
        return merged, self.skip(z.transpose(1, 2).unflatten(2, size))
