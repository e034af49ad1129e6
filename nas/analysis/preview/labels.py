"""Where to write names beside points so that they do not cover each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

Box = tuple[float, float, float, float]  # left, bottom, right, top

# Where a label's box lies about its point: across and up, in label widths and heights.
SPOTS = {
    "top center": (-0.5, 0.0),
    "bottom center": (-0.5, -1.0),
    "middle right": (0.0, -0.5),
    "middle left": (-1.0, -0.5),
    "top right": (0.0, 0.0),
    "top left": (-1.0, 0.0),
    "bottom right": (0.0, -1.0),
    "bottom left": (-1.0, -1.0),
}


@dataclass(frozen=True)
class Label:
    """A point's text, perhaps empty, and the name of its spot."""

    text: str
    spot: str


def place_labels(
    points: Sequence[tuple[float, float]],
    texts: Sequence[Sequence[str]],
    letter: tuple[float, float],
    air: float,
    size: tuple[float, float],
) -> list[Label]:
    """For each point the first of its texts that fits on one of `SPOTS`, or none.

    A text fits where it covers no earlier one and no point, and lies inside (0, 0) to `size`.
    `letter`: width and height of a letter; `air`: from a point to its text; all in one unit.
    """
    taken: list[Box] = [(x - air, y - air, x + air, y + air) for x, y in points]
    found = []
    for i, (point, choices) in enumerate(zip(points, texts, strict=True)):
        others = taken[:i] + taken[i + 1 :]
        fits = (
            (Label(text, spot), box)
            for text in choices
            for spot in SPOTS
            for box in [_box(point, text, spot, letter, air)]
            if _inside(box, size) and not any(_overlap(box, other) for other in others)
        )
        label, taken_box = next(fits, (Label("", "top center"), None))
        found.append(label)
        if taken_box:
            taken.append(taken_box)
    return found


def _box(
    point: tuple[float, float], text: str, spot: str, letter: tuple[float, float], air: float
) -> Box:
    across, up = SPOTS[spot]
    width, height = letter[0] * len(text), letter[1]
    x = point[0] + across * width + air * _sign(across + 0.5)
    y = point[1] + up * height + air * _sign(up + 0.5)
    return x, y, x + width, y + height


def _sign(value: float) -> float:
    return float((value > 0) - (value < 0))


def _inside(box: Box, size: tuple[float, float]) -> bool:
    return box[0] >= 0 and box[1] >= 0 and box[2] <= size[0] and box[3] <= size[1]


def _overlap(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
