"""What the replays say, in numbers and as Markdown tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

PARTS = (1 / 8, 1 / 4, 1 / 2, 1.0)  # of the budget
HEADS = ("1/8", "1/4", "1/2", "all")
Curves = Mapping[str, np.ndarray]
"""By set-up: (seeds, budget + 1) relative hypervolume after so many trained epochs."""


def epochs_until(values: np.ndarray, target: float) -> np.ndarray:
    """(seeds,) trained epochs at which each row of (seeds, budget + 1) is `target` or above.

    Infinite where it never is.
    """
    reached = values >= target
    return np.where(reached.any(axis=1), reached.argmax(axis=1), np.inf)


def share_above(values: np.ndarray, others: np.ndarray) -> float:
    """Share of the seeds in which `values` (seeds,) is the higher; equal ones count half."""
    return float(np.mean((values > others) + 0.5 * (values == others)))


def speed_table(curves: Curves, target: float, budget: int) -> str:
    """How soon each set-up is at `target`, and how far it is at parts of the budget."""
    head = ["set-up", "epochs until", "of the budget", *(f"at {part}" for part in HEADS)]
    rows = []
    for label, values in curves.items():
        low, middle, high = np.percentile(
            epochs_until(values, target), (25, 50, 75), method="closest_observation"
        )
        until = f"{_epochs(middle)} [{_epochs(low)}, {_epochs(high)}]"
        ratio = f"{middle / budget:.2f}" if np.isfinite(middle) else "over 1"
        rows.append([label, until, ratio, *(_spread(values[:, at]) for at in _marks(budget))])
    return markdown(head, rows)


def duel_table(curves: Curves, ours: str, others: Iterable[str], budget: int) -> str:
    """At parts of the budget: how much higher the median of `ours` is, and in how many seeds."""
    head = [f"{ours} against", *(f"at {part}" for part in HEADS)]
    rows = []
    for label in others:
        cells = []
        for at in _marks(budget):
            mine, theirs = curves[ours][:, at], curves[label][:, at]
            ahead = np.median(mine) - np.median(theirs)
            cells.append(f"{ahead:+.3f}, {100 * share_above(mine, theirs):.0f}%")
        rows.append([label, *cells])
    return markdown(head, rows)


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _marks(budget: int) -> list[int]:
    return [round(part * budget) for part in PARTS]


def _epochs(value: float) -> str:
    return f"{value:.0f}" if np.isfinite(value) else "never"


def _spread(values: np.ndarray) -> str:
    low, middle, high = np.percentile(values, (25, 50, 75))
    return f"{middle:.3f} [{low:.3f}, {high:.3f}]"
