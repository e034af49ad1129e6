"""Well-known networks, most of them MONAI's, held to this package's contract of sizes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import mul
from typing import TYPE_CHECKING

import torch
from monai.networks.blocks.dynunet_block import get_conv_layer
from monai.networks.blocks.patchembedding import PatchEmbed, PatchEmbeddingBlock
from monai.networks.nets import UNETR, DynUNet, SegResNet, SwinUNETR, UNet
from torch import nn

from search_spaces.axes import ALIKE, Axes, Sizes
from search_spaces.blocks.norms import spread_norms
from search_spaces.blocks.swin_merging import SwinMerging
from search_spaces.blocks.unetr_decoder import UNETRDecoder
from search_spaces.networks.input_size import check_size
from search_spaces.networks.mobile_unet import MobileUNet
from search_spaces.networks.segformer3d import SegFormer3D
from search_spaces.networks.uxnet import UXNet

if TYPE_CHECKING:
    from search_spaces.baselines import Baseline

REFERENCE_GRID = (6, 6, 6)  # 96^3 voxels in patches of 16^3, UNETR's published input


class Strided(nn.Module):
    """`network` for inputs (B, C, D, H, W) whose axes are multiples of `strides`.

    Raises ValueError, naming the stride, for any other, where MONAI fails at some later layer.
    """

    def __init__(self, network: nn.Module, strides: Sequence[int]) -> None:
        super().__init__()
        self.network, self.strides = spread_norms(network), strides

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        check_size(x, self.strides)
        return self.network(x)


def unet(point: Baseline, in_channels: int, out_channels: int) -> nn.Module:
    """Residual U-Net (Kerfoot 2018); its first convolution already has stride 2."""
    return UNet(
        spatial_dims=3,
        in_channels=in_channels,
        out_channels=out_channels,
        channels=point.channels,
        strides=_steps(point),  # type: ignore[arg-type]  # which it takes, for each axis
        num_res_units=point.residual_units,
    )


def nnunet(point: Baseline, in_channels: int, out_channels: int) -> nn.Module:
    """The U-Net that nnU-Net plans (Isensee 2021): strides and kernels by axis, at most 320
    channels."""
    strides = [(1, 1, 1), *_steps(point)]
    return DynUNet(
        spatial_dims=3,
        in_channels=in_channels,
        out_channels=out_channels,
        kernel_size=[point.axes.kernel(level) for level in range(point.levels)],
        strides=strides,
        upsample_kernel_size=strides[1:],
        filters=[min(c, 320) for c in point.channels],
        norm_name=("INSTANCE", {"affine": True}),
    )


def segresnet(point: Baseline, in_channels: int, out_channels: int) -> nn.Module:
    """SegResNet (Myronenko 2018) without its autoencoder branch: 1, 2, ..., 2, 4 blocks down."""
    network = SegResNet(
        spatial_dims=3,
        init_filters=point.width,
        in_channels=in_channels,
        out_channels=out_channels,
        blocks_down=(1, *[2] * (point.levels - 2), 4),
        blocks_up=(1,) * (point.levels - 1),
    )
    steps = _steps(point)  # it has no argument for them
    for down, up, step in zip(
        network.down_layers[1:], reversed(network.up_samples), steps, strict=True
    ):
        down[0].conv.stride = step
        up[1].upsample_non_trainable.scale_factor = tuple(map(float, step))
    return network


def unetr(point: Baseline, in_channels: int, out_channels: int) -> nn.Module:
    """UNETR (Hatamizadeh 2022) of `hidden` channels, 64 a head, that takes any multiple of 16."""
    network = SizedUNETR(in_channels, out_channels, point.width, point.hidden, point.strides())
    if point.axes == ALIKE:
        return network
    decoder = UNETRDecoder(
        in_channels,
        out_channels,
        width=point.hidden,
        features=point.width,
        patch=point.stride(),
        pooled=False,
        axes=point.axes,
    )
    return AxialUNETR(network, decoder)


def swin_unetr(point: Baseline, in_channels: int, out_channels: int) -> nn.Module:
    """SwinUNETR (Hatamizadeh 2022b) of windows of 7."""
    with torch.device("cpu"):  # it reads numbers out of a tensor, which the meta device has not
        network = SwinUNETR(in_channels, out_channels, feature_size=point.swin_width)
        if point.axes != ALIKE:
            _halve_by_axis(network, point.axes)
    return network.to(torch.get_default_device())


def _halve_by_axis(network: SwinUNETR, axes: Axes) -> None:
    """Its patches, mergings and upsamplings by those axes at its five steps, with new weights."""
    swin = network.swinViT
    old = swin.patch_embed
    swin.patch_embed = PatchEmbed(axes.step(0), old.proj.in_channels, old.embed_dim, None)  # type: ignore[arg-type]
    layers = (swin.layers1, swin.layers2, swin.layers3, swin.layers4)
    for step, (layer,) in enumerate(layers, start=1):
        layer.downsample = SwinMerging(old.embed_dim * 2 ** (step - 1), axes.step(step))
    decoders = (getattr(network, f"decoder{number}") for number in range(1, 6))
    for step, decoder in enumerate(decoders):
        up, factor = decoder.transp_conv.conv, axes.step(step)
        decoder.transp_conv = get_conv_layer(
            3, up.in_channels, up.out_channels, factor, factor, is_transposed=True
        )
    network.patch_size = 1  # of which it wants multiples: `Strided` checks sizes


def _steps(point: Baseline) -> list[Sizes]:
    return [point.axes.step(index) for index in range(point.levels - 1)]


class SizedUNETR(UNETR):
    """MONAI's UNETR with the size taken from the input.

    Its position embedding is learned on `REFERENCE_GRID` and resized to the input's grid, as the
    Vision Transformer does for a new resolution (Dosovitskiy 2021, Sec. 3.2).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        width: int,
        hidden: int,
        patch: Sizes = (16, 16, 16),
    ) -> None:
        size, heads = tuple(map(mul, patch, REFERENCE_GRID)), hidden // 64
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
            in_channels, img_size=size, patch_size=patch, hidden_size=hidden, num_heads=heads
        )
        self.patch = patch
        for block in self.vit.blocks:
            block.norm_cross_attn = nn.Identity()  # MONAI makes it, and without need never calls it

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        maps = _token_maps(self.vit, x, self.patch)
        y = self.decoder5(maps[3], self.encoder4(maps[2]))
        y = self.decoder4(y, self.encoder3(maps[1]))
        y = self.decoder3(y, self.encoder2(maps[0]))
        return self.out(self.decoder2(y, self.encoder1(x)))


class AxialUNETR(nn.Module):
    """The transformer of `unetr`, whose patches differ by axis, and a decoder for such patches."""

    def __init__(self, unetr: SizedUNETR, decoder: UNETRDecoder) -> None:
        super().__init__()
        self.vit, self.patch, self.decoder = unetr.vit, unetr.patch, decoder

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.decoder(x, _token_maps(self.vit, x, self.patch))


def _token_maps(vit: nn.Module, x: torch.Tensor, patch: Sizes) -> list[torch.Tensor]:
    """The tokens of x after 3, 6, 9 and all layers, each (B, hidden, *grid)."""
    grid = [length // side for length, side in zip(x.shape[2:], patch, strict=True)]
    last, states = vit(x)
    return [z.transpose(1, 2).unflatten(2, grid) for z in (*states[3:10:3], last)]


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
    "nnunet": nnunet,
    "segresnet": segresnet,
    "unetr": unetr,
    "swin-unetr": swin_unetr,
    "uxnet": lambda point, ins, outs: UXNet(ins, outs, point.swin_width, point.axes),
    "segformer3d": lambda point, ins, outs: SegFormer3D(ins, outs, point.width, point.axes),
    "mobile-unet": lambda point, ins, outs: MobileUNet(ins, outs, point.width, point.axes),
}
