"""Hypervolume against trained epochs, as a picture."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

QUARTILES = (25, 50, 75)
INK, GRID = "#1f2933", "#e4e7eb"
COLOURS = ("#8a94a0", "#d1622b", "#e3a22f", "#3b6fb6", "#69a5d8", "#7a5aa6", "#2f9e6e", "#b8457f")

STYLES = ("-", "--")  # of twice as many set-ups as there are colours


def write_figure(
    panels: Mapping[str, Mapping[str, np.ndarray]], target: float, bold: str, path: Path
) -> None:
    """One panel a title; of each set-up the median line and the band between the quartiles.

    Values are (seeds, epochs + 1); `target` is drawn across; the set-up named `bold` is thick.
    """
    figure = Figure(figsize=(7 * len(panels), 5), dpi=130, layout="constrained")
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for panel, (title, curves) in zip(axes, panels.items(), strict=True):
        _draw(panel, curves, target, bold)
        panel.set_title(title, loc="left", color=INK)
    axes[0].set_ylabel("hypervolume of complete networks, the table's front = 1")
    figure.savefig(path)


def _draw(axes: Axes, curves: Mapping[str, np.ndarray], target: float, bold: str) -> None:
    styles = product(STYLES, COLOURS)
    for (style, colour), (label, values) in zip(styles, curves.items(), strict=False):
        low, middle, high = np.percentile(values, QUARTILES, axis=0)
        epochs = np.arange(len(middle))
        colour = INK if label == bold else colour
        axes.plot(
            epochs, middle, color=colour, label=label, ls=style, lw=2.6 if label == bold else 1.5
        )
        axes.fill_between(epochs, low, high, color=colour, alpha=0.12, lw=0)
    axes.axhline(target, color=INK, lw=0.8, ls=":")
    axes.set_xlabel("trained epochs")
    axes.set_xlim(0, None)
    axes.grid(color=GRID)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8, loc="lower right")
