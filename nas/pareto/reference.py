"""From which Dice on a network is worth having, however little it costs."""

from __future__ import annotations

from collections.abc import Iterable

from nas.pareto.result import Result, known

REFERENCE = 0.9  # of the best Dice


def dice_reference(results: Iterable[Result]) -> float:
    """`REFERENCE` of the best Dice among the complete results; 0 where there is none."""
    found = [dice for r in results if (dice := known(r.dice)) is not None]
    return REFERENCE * max(found, default=0.0)


def above_reference(results: Iterable[Result]) -> list[Result]:
    """The complete results that are at least as good as the reference.

    Below it a network is non-dominated by its cost alone: of Dice 0.2, because it is the smallest.
    """
    results = list(results)
    reference = dice_reference(results)
    return [r for r in results if r.dice is not None and r.dice >= reference]
