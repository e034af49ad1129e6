"""A transformer's MLP, and linear layers factorised into two thin ones."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from search_spaces.blocks.prunable import Place, Units


def low_rank_linear(in_features: int, out_features: int, ratio: float) -> nn.Module:
    """(..., in_features) -> (..., out_features) through `ratio * min(in, out)` features.

    The factors of Jaderberg 2014, Sec. 2, and Sainath 2013.
    The weight W = U V has rank r = ratio * min(in, out), at least 1, and costs r (in + out) in
    place of in * out. At ratio 1 it is one full linear layer.
    """
    if ratio == 1:
        return nn.Linear(in_features, out_features)
    rank = max(1, round(ratio * min(in_features, out_features)))
    return nn.Sequential(nn.Linear(in_features, rank, bias=False), nn.Linear(rank, out_features))


class MLP(nn.Sequential):
    """Two linear layers, of the full rank or `rank_ratio` of it. (B, N, C) -> (B, N, C)."""

    def __init__(
        self,
        channels: int,
        hidden: int,
        rank_ratio: float = 1.0,
        activation: Callable[[], nn.Module] = nn.GELU,
    ) -> None:
        super().__init__(
            low_rank_linear(channels, hidden, rank_ratio),
            activation(),
            low_rank_linear(hidden, channels, rank_ratio),
        )
        self.hidden = hidden

    def prunable(self) -> dict[str, Units]:
        return {
            "neurons": Units(
                "neurons",
                self.hidden,
                made=(Place(self[0]),),
                read=(Place(self[2]),),
                counts=((self, "hidden"),),
            )
        }
