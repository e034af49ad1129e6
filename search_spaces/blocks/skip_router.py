"""Skip connections that choose among all encoder stages at every voxel (LightMedSeg, Sec. 3.5)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

import torch
from torch import nn

from search_spaces.blocks.dimensions import CONV
from search_spaces.blocks.resample import resample

SKIP_ROUTER = "skip router"  # the mechanism; see `search_spaces.offers`


class SkipRouter(nn.Module):
    """Mixes all encoder stages for each of several decoder stages (LightMedSeg, Eq. 11 to 13).

    `channels`: of every encoder stage. `width`: the common one to which they are projected.
    `out_channels`: of every skip. Called with the M encoder stages' maps (B, C_i, *S_i), the number
    of the skip and its size; returns that skip (B, out_channels[place], *size). Projections and
    controller are shared by all skips, the last projections are not: the reading that has the
    published 24 K parameters. Every skip projects anew, as the published cost has it, so that no
    wide map at a high resolution waits for the next one.
    """

    def __init__(
        self,
        spatial_dims: int,
        channels: Sequence[int],
        width: int,
        out_channels: Sequence[int],
    ) -> None:
        super().__init__()
        conv = CONV[spatial_dims]
        self.project = nn.ModuleList(conv(c, width, 1) for c in channels)
        self.control = nn.Sequential(
            conv(len(channels) * width, width, 1), nn.SiLU(), conv(width, len(channels), 1)
        )
        self.release = nn.ModuleList(conv(width, c, 1) for c in out_channels)

    def forward(
        self, features: Sequence[torch.Tensor], place: int, size: Sequence[int]
    ) -> torch.Tensor:
        return self.release[place](self.mix(self._aligned(features, size)))

    def weights(self, aligned: Sequence[torch.Tensor]) -> torch.Tensor:
        """M maps (B, width, *S) -> (B, M, *S), the stages' shares, which sum to one (Eq. 12)."""
        return self.control(torch.cat(list(aligned), dim=1)).softmax(1)

    def mix(self, aligned: Sequence[torch.Tensor]) -> torch.Tensor:
        """M maps (B, width, *S) -> their mixture (B, width, *S) (Eq. 13)."""
        shares = self.weights(aligned).split(1, dim=1)
        return reduce(torch.add, (s * f for s, f in zip(shares, aligned, strict=True)))

    def shows(self, inputs: tuple[Any, ...], output: torch.Tensor) -> dict[str, Any]:
        """See `search_spaces.offers`."""
        features, _, size = inputs
        shares = self.weights(self._aligned(features, size)).unbind(1)
        return {SKIP_ROUTER: {f"stage {i}": share for i, share in enumerate(shares, start=1)}}

    def replacements(self) -> dict[str, dict[str, Any]]:
        """See `search_spaces.offers`."""

        def uniform(inputs: tuple[Any, ...], output: torch.Tensor, mean: object) -> torch.Tensor:
            features, place, size = inputs
            return self.release[place](torch.stack(self._aligned(features, size)).mean(0))

        return {SKIP_ROUTER: {"uniform shares": uniform}}

    def _aligned(self, features: Sequence[torch.Tensor], size: Sequence[int]) -> list[torch.Tensor]:
        return [resample(p(f), size) for p, f in zip(self.project, features, strict=True)]
