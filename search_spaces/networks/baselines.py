"""Well-known networks as MONAI builds them, held to this package's contract of sizes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import torch
from monai.networks.blocks.patchembedding import PatchEmbeddingBlock
from monai.networks.nets import UNETR, SegResNet, SwinUNETR, UNet
from torch import nn

from search_spaces.networks.input_size import check_size

if TYPE_CHECKING:
    from search_spaces.baselines import Baseline

REFERENCE_GRID = (6, 6, 6)  # 96^3 voxels in patches of 16^3, UNETR's published input


class Strided(nn.Module):
    """`network` for inputs (B, C, D, H, W) whose axes are multiples of `stride`.

    Raises ValueError, naming the stride, for any other, where MONAI fails at some later layer.
    """

    def __init__(self, network: nn.Module, stride: int) -> None:
        super().__init__()
        self.network, self.stride = network, stride

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        check_size(x, self.stride)
        return self.network(x)


def unet(point: Baseline, in_channels: int, out_channels: int) -> nn.Module:
    """Residual U-Net (Kerfoot 2018); its first convolution already has stride 2."""
    return UNet(
        spatial_dims=3,
        in_channels=in_channels,
        out_channels=out_channels,
        channels=point.channels,
        strides=[2] * (point.levels - 1),
        num_res_units=point.residual_units,
    )


def segresnet(point: Baseline, in_channels: int, out_channels: int) -> nn.Module:
    """SegResNet (Myronenko 2018) without its autoencoder branch: 1, 2, ..., 2, 4 blocks down."""
    return SegResNet(
        spatial_dims=3,
        init_filters=point.width,
        in_channels=in_channels,
        out_channels=out_channels,
        blocks_down=(1, *[2] * (point.levels - 2), 4),
        blocks_up=(1,) * (point.levels - 1),
    )


def unetr(point: Baseline, in_channels: int, out_channels: int) -> nn.Module:
    """UNETR (Hatamizadeh 2022) of `hidden` channels, 64 a head, that takes any multiple of 16."""
    return SizedUNETR(in_channels, out_channels, point.width, point.hidden)


def swin_unetr(point: Baseline, in_channels: int, out_channels: int) -> nn.Module:
    """SwinUNETR (Hatamizadeh 2022b) of windows of 7."""
    with torch.device("cpu"):  # it reads numbers out of a tensor, which the meta device has not
        network = SwinUNETR(in_channels, out_channels, feature_size=point.swin_width)
    return network.to(torch.get_default_device())


class SizedUNETR(UNETR):
    """MONAI's UNETR with the size taken from the input.

    Its position embedding is learned on `REFERENCE_GRID` and resized to the input's grid, as the
    Vision Transformer does for a new resolution (Dosovitskiy 2021, Sec. 3.2).
    """

    def __init__(self, in_channels: int, out_channels: int, width: int, hidden: int) -> None:
        size, heads = tuple(16 * length for length in REFERENCE_GRID), hidden // 64
        super().__init__(
            in_channels,
            out_channels,
            size,
            feature_size=width,
            hidden_size=hidden,
            mlp_dim=4 * hidden,
            num_heads=heads,
        )
        self.vit.patch_embedding = SizedPatchEmbedding(
            in_channels, img_size=size, patch_size=16, hidden_size=hidden, num_heads=heads
        )
        for block in self.vit.blocks:
            block.norm_cross_attn = nn.Identity()  # MONAI makes it, and without need never calls it

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        grid = [length // 16 for length in x.shape[2:]]
        last, states = self.vit(x)
        maps = [z.transpose(1, 2).unflatten(2, grid) for z in (*states[3:10:3], last)]
        y = self.decoder5(maps[3], self.encoder4(maps[2]))
        y = self.decoder4(y, self.encoder3(maps[1]))
        y = self.decoder3(y, self.encoder2(maps[0]))
        return self.out(self.decoder2(y, self.encoder1(x)))


class SizedPatchEmbedding(PatchEmbeddingBlock):
    """Patches by a strided convolution, plus the learned embedding resized to their grid.

    (B, C, D, H, W) -> (B, N, hidden).
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        patches = self.patch_embeddings(x)  # (B, hidden, *grid)
        position = self.position_embeddings.transpose(1, 2).unflatten(2, REFERENCE_GRID)
        if patches.shape[2:] != position.shape[2:]:
            position = nn.functional.interpolate(
                position, size=patches.shape[2:], mode="trilinear", align_corners=False
            )
        return (patches + position).flatten(2).transpose(1, 2)


NETWORKS: Mapping[str, Callable[[Baseline, int, int], nn.Module]] = {
    "unet": unet,
    "segresnet": segresnet,
    "unetr": unetr,
    "swin-unetr": swin_unetr,
}
