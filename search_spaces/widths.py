"""Channels of levels and heads of attention, as the records of all spaces derive them."""

from __future__ import annotations


def level_channels(width: int, growth: float, levels: int, multiple: int = 1) -> list[int]:
    """About `width * growth**level` channels for every level, the shallowest first, each a multiple
    of `multiple`."""
    return [multiple * max(1, round(width * growth**i / multiple)) for i in range(levels)]


def attention_heads(channels: int, least_width: int) -> int:
    """The most heads of at least `least_width` channels that divide them, one at least."""
    return max(h for h in range(1, max(channels // least_width, 1) + 1) if channels % h == 0)
