"""From the tokens that survived pruning back to all of them."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from search_spaces.blocks.gated_layer import transformer_layer
from search_spaces.blocks.token_assembly import Dropped, TokenAssembly, where_dropped
from search_spaces.blocks.token_pruning import TOKEN_PRUNING


class Completion(nn.Module):
    """One transformer layer over all tokens, between a linear map in and one out.

    The maps are those of a masked autoencoder's decoder (He 2022); the published costs of Zhou 2023
    hold them too. Subclasses fill the gaps. z: (B, 1 + N, C) starts with the class token, position
    is (1, N, C), and what is returned (B, N, C), in spatial order.
    """

    def __init__(self, channels: int, heads: int, mlp_ratio: int) -> None:
        super().__init__()
        self.enter = _mapped(channels)
        self.layer = transformer_layer(channels, heads, mlp_ratio)
        self.leave = _mapped(channels)

    def forward(
        self,
        survivors: torch.Tensor,
        index: torch.Tensor,
        dropped: Dropped,
        position: torch.Tensor,
    ) -> torch.Tensor:
        """From `survivors` (B, 1 + K, C), which stood at index (B, K), and for each pruning place,
        in order, what it dropped (B, M, C) from which index (B, M)."""
        raise NotImplementedError

    def masked(
        self, z: torch.Tensor, kept: torch.Tensor, dropped: Dropped, position: torch.Tensor
    ) -> torch.Tensor:
        """The same where tokens are only masked: kept is (B, N) of 0 and 1, and a pruning place has
        all tokens as they were there (B, N, C) and who was dropped there (B, N)."""
        raise NotImplementedError

    def spends(self) -> dict[str, list[nn.Module]]:
        """See `search_spaces.offers`."""
        return {TOKEN_PRUNING: [self]}

    def _finish(self, first: torch.Tensor, filled: torch.Tensor) -> torch.Tensor:
        return self.leave(self.layer(torch.cat([first, filled], dim=1))[:, 1:])


class MultiLayerAssembly(Completion):
    """MTA: pruned tokens come back as they were where they were dropped (Zhou 2023, Eq. 3)."""

    def __init__(self, channels: int, heads: int, mlp_ratio: int, places: int) -> None:
        super().__init__(channels, heads, mlp_ratio)
        self.enter_dropped = nn.ModuleList(_mapped(channels) for _ in range(places))
        self.assemble = TokenAssembly(channels, places)

    def forward(
        self,
        survivors: torch.Tensor,
        index: torch.Tensor,
        dropped: Dropped,
        position: torch.Tensor,
    ) -> torch.Tensor:
        z = self.enter(survivors)
        back = [
            (enter(tokens), where)
            for enter, (tokens, where) in zip(self.enter_dropped, dropped, strict=True)
        ]
        return self._finish(z[:, :1], self.assemble(z[:, 1:], index, back, position))

    def masked(
        self, z: torch.Tensor, kept: torch.Tensor, dropped: Dropped, position: torch.Tensor
    ) -> torch.Tensor:
        z = self.enter(z)
        filled = z[:, 1:] * kept[..., None] + position
        for enter, mark, (tokens, here) in zip(
            self.enter_dropped, self.assemble.place, dropped, strict=True
        ):
            filled = filled + (enter(tokens) + mark) * here[..., None]
        return self._finish(z[:, :1], filled)


class MaskTokenCompletion(Completion):
    """MIM: one learned token in every gap, as a masked autoencoder has it (He 2022, Sec. 3)."""

    def __init__(self, channels: int, heads: int, mlp_ratio: int) -> None:
        super().__init__(channels, heads, mlp_ratio)
        self.mask = nn.Parameter(torch.zeros(channels))
        nn.init.trunc_normal_(self.mask, std=0.02)

    def forward(
        self,
        survivors: torch.Tensor,
        index: torch.Tensor,
        dropped: Dropped,
        position: torch.Tensor,
    ) -> torch.Tensor:
        z = self.enter(survivors)
        gaps = self.mask.to(z.dtype).expand(z.shape[0], *position.shape[1:])
        filled = gaps.scatter(1, index[..., None].expand_as(z[:, 1:]), z[:, 1:])
        return self._finish(z[:, :1], filled + position)

    def masked(
        self, z: torch.Tensor, kept: torch.Tensor, dropped: Dropped, position: torch.Tensor
    ) -> torch.Tensor:
        z = self.enter(z)
        seen = kept[..., None]
        return self._finish(z[:, :1], z[:, 1:] * seen + self.mask * (1 - seen) + position)

    def shows(self, inputs: tuple[Any, ...], output: torch.Tensor) -> dict[str, Any]:
        """See `search_spaces.offers`."""
        return {TOKEN_PRUNING: where_dropped(inputs[1], inputs[2])}


def _mapped(channels: int) -> nn.Sequential:
    return nn.Sequential(nn.LayerNorm(channels), nn.Linear(channels, channels))
