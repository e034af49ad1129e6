"""All cases of a data set on one sheet: slices with labels, to be looked through by a person."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from math import inf
from pathlib import Path
from typing import TypeVar

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from nas.report.case_slices import case_slices
from nas.report.html_page import png
from trainers.atomic import replace_files
from trainers.counted import counted
from trainers.data.check import Progress
from trainers.data.check.finding import Finding
from trainers.data.config import Preprocess
from trainers.data.source import DataSource

AnyCase = TypeVar("AnyCase")
DPI = 100
CAPTION, HEAD, BORDER = 30, 84, 16  # pixels
MORE = 90  # for "and 12 more"
WIDTH = 1700  # pixels of a sheet whose head is drawn at its size
TILES = ((12, (400, 560)), (40, (310, 440)), (inf, (240, 340)))  # up to so many cases: pixels
SHAPE = 1.6  # width of a sheet over its height, about
LEGEND = 20  # classes
FAULT, DOUBT, MUTED = "#ff6b6b", "#ffc857", "#9aa5b1"
BRIGHT = (
    "#ff4d4d", "#4dabf7", "#51cf66", "#ffd43b", "#da77f2",
    "#ff922b", "#3bc9db", "#f783ac", "#a9e34b", "#e8b796",
)  # fmt: skip
PANEL = 0.07  # grey behind a case


def write_sheet(
    path: Path,
    source: DataSource,
    findings: Sequence[Finding],
    preprocess: Preprocess,
    most: int,
    progress: Progress,
) -> int:
    """Write a PNG of `most` cases at most, evenly chosen; how many they are is returned.

    Cases with findings are marked with their kinds. Raises OSError where it cannot be written.
    """
    cases, settings = evenly(source.cases, most), preprocess.of_channels(source.modalities)
    told: dict[str, list[Finding]] = defaultdict(list)
    for finding in findings:
        told[finding.case or ""].append(finding)
    colours = class_colours(len(source.classes))
    tile, columns = _layout(len(cases))
    height, width = tile[0] + CAPTION + BORDER, tile[1] + BORDER
    size = max(1.0, (columns * width + BORDER) / WIDTH)
    head, rows = round(HEAD * size), -(-len(cases) // columns)
    canvas = np.zeros((head + rows * height + BORDER, columns * width + BORDER, 3), np.float32)
    figure = Figure(figsize=(canvas.shape[1] / DPI, canvas.shape[0] / DPI), dpi=DPI)
    ax = figure.add_axes((0, 0, 1, 1))
    for number, case in enumerate(cases):
        top, left = head + number // columns * height, BORDER + number % columns * width
        panel = canvas[top : top + tile[0] + CAPTION, left : left + tile[1]]
        panel[:] = PANEL
        _caption(ax, case.name, told[case.name], top, left)
        picture = case_slices(case, settings, source.modalities[0], colours, tile)
        if picture is None:
            ax.text(left + 8, top + CAPTION + 20, "cannot be read", color=FAULT, fontsize=11)
        else:
            panel[CAPTION:] = np.where(picture < 0, PANEL, picture)
        progress(number + 1, len(cases), "drawn")
    ax.imshow(canvas, interpolation="nearest", aspect="auto")
    ax.axis("off")
    _head(ax, source, len(cases), colours, size)
    replace_files({path: png(figure, "black")})
    return len(cases)


def evenly(cases: Sequence[AnyCase], most: int) -> list[AnyCase]:
    """`most` of them at most, the first and the last among them."""
    places = np.linspace(0, len(cases) - 1, min(most, len(cases))).round().astype(int)
    return [cases[place] for place in dict.fromkeys(places.tolist())]


def class_colours(count: int) -> np.ndarray:
    """(count, 3) RGB: black for the background, then bright ones, again after ten."""
    return np.array([(0, 0, 0), *(to_rgb(BRIGHT[i % len(BRIGHT)]) for i in range(count - 1))])


def _layout(cases: int) -> tuple[tuple[int, int], int]:
    """(height, width) of a case's picture in pixels, and how many columns there are."""
    tile = next(size for most, size in TILES if cases <= most)
    height, width = tile[0] + CAPTION + BORDER, tile[1] + BORDER
    columns = min(cases, max(2, round((SHAPE * cases * height / width) ** 0.5)))
    rows = -(-cases // columns)
    return tile, -(-cases // rows)  # as full as so many rows can be


def _caption(ax: Axes, name: str, findings: Sequence[Finding], top: int, left: int) -> None:
    kinds = ", ".join(dict.fromkeys(finding.kind for finding in findings))
    colour = FAULT if any(finding.fault for finding in findings) else DOUBT
    told = f"{name}   \N{BLACK UP-POINTING TRIANGLE} {kinds}" if kinds else name
    ax.text(
        left + 8, top + 20, told, color=colour if kinds else "white", fontsize=10, parse_math=False
    )


def _head(ax: Axes, source: DataSource, shown: int, colours: np.ndarray, size: float) -> None:
    """The title, what is shown how, and the classes in their colours."""
    count = len(source.cases)
    which = counted(count, "case") if shown == count else f"{shown} of {counted(count, 'case')}"
    first = f"{source.modalities[0]}, " if len(source.modalities) > 1 else ""
    told = (
        f"{first}axial at the left, coronal over sagittal at the right; the patient's right is at "
        "the left"
    )

    def write(x: float, y: float, text: str, colour: object, points: float) -> float:
        """The x at which the text ends."""
        told = ax.text(x, y * size, text, color=colour, fontsize=points * size, parse_math=False)
        return float(told.get_window_extent().x1)

    x = write(BORDER, 30, source.folder.name or str(source.folder), "white", 15)
    x = write(x + 14 * size, 30, which, "white", 11)
    write(x + 14 * size, 30, told, MUTED, 9)
    x, names = float(BORDER), source.classes[1:]
    assert ax.figure
    for index, name in enumerate(names, start=1):
        left = len(names) - index
        room = ax.figure.bbox.width - (MORE * size if left else 0) - BORDER
        end = write(x, 60, f"\N{BLACK SQUARE} {name}", colours[index], 11)
        if index > LEGEND or end > room:
            ax.texts[-1].remove()
            write(x, 60, f"and {left + 1} more", "white", 11)
            break
        x = end + 16 * size
