"""UNETR, whose transformer can leave tokens out and complete them for the decoder (Zhou 2023)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import nn

from search_spaces.blocks.dimensions import CONV
from search_spaces.blocks.gated_layer import GatedLayer, transformer_layer
from search_spaces.blocks.position import sincos_embedding
from search_spaces.blocks.recompute import recomputed
from search_spaces.blocks.sparse_encoder import SparseEncoder, sampler
from search_spaces.blocks.token_completion import (
    Completion,
    MaskTokenCompletion,
    MultiLayerAssembly,
)
from search_spaces.blocks.unetr_decoder import UNETRDecoder
from search_spaces.networks.input_size import check_size

if TYPE_CHECKING:
    from search_spaces.token_sparse import TokenSparse


class SparseUNETR(nn.Module):
    """A vision transformer over patches, then UNETR's decoder.

    x: (B, C_in, D, H, W) -> logits (B, C_cls, D, H, W). Raises ValueError where D, H or W is not a
    multiple of the stride. Positions are sines and cosines, so that every size will do. Unpruned,
    the decoder takes maps from evenly spaced depths (3, 6, 9 and 12 where there are four). Pruned,
    it takes the completed map in place of each (Sec. 2.3), and tokens are dropped at evenly spaced
    depths (after blocks 3, 6 and 9 of 12).

    `recompute`: training keeps no activations of what is computed from all tokens or all voxels;
    the backward pass computes them again. None: where tokens are pruned and a full-resolution map
    has `RECOMPUTE_FROM` values a case or more. So large, those activations are most of what a
    pruned network keeps; a plain UNETR would pay with every layer's time. On a GPU with room for
    them, trainings set it to False.
    """

    RECOMPUTE_FROM = 2**20

    def __init__(self, point: TokenSparse, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.strides, self._features = point.strides(), point.features
        self.recompute: bool | None = None
        patch = point.axes.between(0, point.patch.bit_length() - 1)
        self.embed = CONV[3](in_channels, point.width, patch, patch)
        self.class_token = nn.Parameter(torch.zeros(point.width))
        nn.init.trunc_normal_(self.class_token, std=0.02)
        self.decoder = UNETRDecoder(
            in_channels,
            out_channels,
            width=point.width,
            features=point.features,
            patch=point.patch,
            pooled=point.pooled,
            axes=point.axes,
        )
        layers = [
            transformer_layer(point.width, point.heads, point.mlp_ratio) for _ in range(point.depth)
        ]
        self.encoder = (
            _sparse_encoder(point, layers)
            if point.prune
            else DenseEncoder(point.width, layers, self.decoder.maps)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        check_size(x, self.strides)
        recompute = self._recomputes(x)
        return self.decoder(x, self.encode(x, recompute), recompute)

    def encode(self, x: torch.Tensor, recompute: bool = False) -> list[torch.Tensor]:
        """x: (B, C_in, D, H, W) -> the decoder's maps, each (B, width, D / patch, ...)."""
        patches = self.embed(x)
        grid = tuple(patches.shape[2:])
        position = sincos_embedding(grid, patches.shape[1], x.device).to(patches.dtype)
        z = patches.flatten(2).transpose(1, 2) + position  # (B, N, C)
        first = self.class_token.to(z.dtype).expand(z.shape[0], 1, -1)
        z = torch.cat([first, z], dim=1)
        if isinstance(self.encoder, DenseEncoder):
            tokens = self.encoder(z, recompute)
        else:
            tokens = [self.encoder(z, position, recompute)] * self.decoder.maps
        return [t.transpose(1, 2).unflatten(2, grid) for t in tokens]

    def encoder_stages(self) -> list[list[nn.Module | nn.Parameter]]:
        """The embedding with the class token, then each transformer layer; see `offers`."""
        return [[self.embed, self.class_token], *([layer] for layer in self.encoder.layers)]

    def auxiliary_losses(self, target: torch.Tensor) -> dict[str, torch.Tensor]:
        """DynamicViT's ratio loss of the last training pass; the others train without terms."""
        return self.encoder.take_ratio_loss() if isinstance(self.encoder, SparseEncoder) else {}

    def _recomputes(self, x: torch.Tensor) -> bool:
        if self.recompute is not None:
            return self.recompute
        large = self._features * x[0, 0].numel() >= self.RECOMPUTE_FROM
        return large and isinstance(self.encoder, SparseEncoder)


class DenseEncoder(nn.Module):
    """All layers on all tokens.

    z: (B, 1 + N, C) -> `maps` tensors (B, N, C) from evenly spaced depths, the last normalised.
    """

    def __init__(self, channels: int, layers: Sequence[GatedLayer], maps: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.norm = nn.LayerNorm(channels)
        self.taken = evenly_spaced(len(layers), maps - 1)

    def forward(self, z: torch.Tensor, recompute: bool = False) -> list[torch.Tensor]:
        maps = []
        for done, layer in enumerate(self.layers, start=1):
            z = recomputed(layer, z, when=recompute)
            maps += [z[:, 1:]] * self.taken.count(done)
        return [*maps, self.norm(z[:, 1:])]


def evenly_spaced(depth: int, count: int) -> list[int]:
    """`count` depths that cut `depth` layers into nearly equal parts: (12, 3) -> [3, 6, 9].

    None is 0; where there are more than layers to stand between, the first depth comes again.
    """
    return [max(1, depth * i // (count + 1)) for i in range(1, count + 1)]


def _sparse_encoder(point: TokenSparse, layers: Sequence[GatedLayer]) -> SparseEncoder:
    completion: Completion
    if point.completion == "mta":
        completion = MultiLayerAssembly(point.width, point.heads, point.mlp_ratio, point.places)
    else:
        completion = MaskTokenCompletion(point.width, point.heads, point.mlp_ratio)
    kind, width, noise = point.sampler, point.width, not point.noiseless
    return SparseEncoder(
        layers,
        evenly_spaced(point.depth, point.places),
        [sampler(kind, width, point.prune, point.tau, noise) for _ in range(point.places)],
        completion,
    )
