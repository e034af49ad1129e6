"""Token mixers by name."""

from __future__ import annotations

from typing import Literal

from torch import nn

from search_spaces.blocks.attention import Attention
from search_spaces.blocks.mamba import Mamba, SummaryMamba
from search_spaces.blocks.pooling import Pooling
from search_spaces.blocks.windows import Windowed

MixerKind = Literal["attention", "mamba", "summary_mamba", "pool"]


def make_mixer(
    kind: MixerKind, channels: int, heads: int = 1, window: int = 0, directions: int = 1
) -> nn.Module:
    """A mixer called as `mixer(z, size)`, z: (B, N, C) with N = prod(size) -> (B, N, C).

    `window`: tokens along every axis of the windows that are mixed apart; 0 mixes all. Pooling has
    a neighbourhood of its own and no windows. `heads` are those of attention, `directions` those of
    Mamba. Raises ValueError for another kind.
    """
    mixer: nn.Module
    if kind == "attention":
        mixer = Attention(channels, heads)
    elif kind == "mamba":
        mixer = Mamba(channels, directions=directions)
    elif kind == "summary_mamba":
        mixer = SummaryMamba(channels, directions)
    elif kind == "pool":
        return Pooling()
    else:
        raise ValueError(f"{kind!r} is no mixer; there are attention, mamba, summary_mamba, pool")
    return Windowed(mixer, window) if window else mixer
