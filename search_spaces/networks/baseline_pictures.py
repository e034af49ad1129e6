"""The pictures of the well-known networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from search_spaces.stages import Stage, several, ways_down, ways_up

if TYPE_CHECKING:
    from search_spaces.baselines import Baseline


def baseline_picture(point: Baseline) -> list[Stage]:
    """The stages of the network that the point names."""
    return PICTURES[point.kind](point)


def _unet(point: Baseline) -> list[Stage]:
    widths, divisors = point.channels, [2 ** (i + 1) for i in range(point.levels - 1)]
    unit = "residual unit" if point.residual_units else "1 conv"
    down = ways_down(widths, [*divisors, divisors[-1]], unit)
    return down + ways_up(widths[:-2], divisors[:-1], unit, skip="concat")


def _nnunet(point: Baseline) -> list[Stage]:
    return _alike(point.channels, _from_image(point.levels), "2 convs", "2 convs")


def _segresnet(point: Baseline) -> list[Stage]:
    widths, divisors = point.channels, _from_image(point.levels)
    counts = (1, *[2] * (point.levels - 2), 4)
    down = [
        Stage(name="encoder", divisor=d, channels=c, holds=[several(n, "residual unit")])
        for c, d, n in zip(widths, divisors, counts, strict=True)
    ]
    return down + ways_up(widths[:-1], divisors[:-1], "1 residual unit", skip="add")


def _uxnet(point: Baseline) -> list[Stage]:
    widths = [point.swin_width * 2**i for i in range(5)]
    return _alike(widths, _from_image(5), "7^3 depthwise convs", "residual unit")


def _mobile_unet(point: Baseline) -> list[Stage]:
    widths = [int(point.width * wide) for wide in (1, 1.5, 2, 6, 20)]
    divisors = [2 ** (i + 1) for i in range(5)]
    return _alike(widths, divisors, "inverted residuals", "1 inverted residual")


def _segformer3d(point: Baseline) -> list[Stage]:
    down = [
        _tokens(4 * 2**i, heads * point.width, [f"attention, {several(heads, 'head')}"], 2)
        for i, heads in enumerate((1, 2, 5, 8))
    ]
    return down + ways_up([8 * point.width], [4], "linear maps of all stages", skip="concat")


def _unetr(point: Baseline) -> list[Stage]:
    tokens = _tokens(16, point.hidden, [f"attention, {point.hidden // 64} heads"], 12)
    widths = [point.width * 2**i for i in range(4)]
    up = ways_up(widths, _from_image(4), "residual unit", skip="concat")
    return [_image(point.width), tokens, *up]


def _swin_unetr(point: Baseline) -> list[Stage]:
    windows = [
        _tokens(2 ** (i + 1), point.swin_width * 2**i, ["windows of 7"], 2) for i in range(4)
    ]
    deepest = _tokens(32, point.swin_width * 16, ["residual unit"], 0)
    widths = [point.swin_width * 2 ** max(i - 1, 0) for i in range(5)]
    up = ways_up(widths, _from_image(5), "residual unit", skip="concat")
    return [_image(point.swin_width), *windows, deepest, *up]


def _alike(widths: list[int], divisors: list[int], down: str, up: str) -> list[Stage]:
    """An encoder and a decoder at the same resolutions, joined by concatenation."""
    ways = ways_up(widths[:-1], divisors[:-1], up, skip="concat")
    return ways_down(widths, divisors, down) + ways


def _image(width: int) -> Stage:
    return Stage(name="image", divisor=1, channels=width, holds=["residual unit"])


def _tokens(divisor: int, channels: int, holds: list[str], layers: int) -> Stage:
    return Stage(
        name="tokens",
        divisor=divisor,
        channels=channels,
        holds=holds,
        layers=("both",) * layers,
    )


def _from_image(levels: int) -> list[int]:
    return [2**level for level in range(levels)]


PICTURES: Mapping[str, Callable[[Baseline], list[Stage]]] = {
    "unet": _unet,
    "nnunet": _nnunet,
    "segresnet": _segresnet,
    "unetr": _unetr,
    "swin-unetr": _swin_unetr,
    "uxnet": _uxnet,
    "segformer3d": _segformer3d,
    "mobile-unet": _mobile_unet,
}
