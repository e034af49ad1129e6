"""What the page says of a whole search, which no click changes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from nas.pareto.objectives import objective
from nas.report.search_record import COMPRESSED, KEPT, SearchRecord
from trainers.counted import counted

if TYPE_CHECKING:
    from nas.study.knob_importance import Importance


def caption(record: SearchRecord) -> str:
    """How many networks are on the front and what that means, and what became of the others."""
    return " ".join(_caption(record))


def _caption(record: SearchRecord) -> Iterator[str]:
    names = ", ".join(objective(name).phrase for name in record.objectives)
    if record.states["complete"]:
        yield (
            f"{len(record.members)} of {counted(record.states['complete'], 'trained network')} "
            f"{'is' if len(record.members) == 1 else 'are'} the front: none is better in one of "
            f"{names} and as good in the others."
        )
    else:
        yield "No network has been trained to the end yet, so that there is no front."
    for state, ended in (("stopped", "stopped early"), ("infeasible", "found infeasible")):
        if count := record.states[state]:
            yield f"{counted(count, 'candidate')} {ended}."
    if record.chances:
        again = sum(bool(result.trainings) for result in record.results)
        yield (
            f"{counted(again, 'network')} {'was' if again == 1 else 'were'} trained again with "
            "other seeds: Dice is the mean. Chance: that no network which costs no more has a "
            "higher true Dice."
        )
    if record.baseline_verdict:
        yield record.baseline_verdict
    if record.compressed:
        yield f"{COMPRESSED}."
    if record.prunes:
        yield f"{KEPT}."
    if record.waiting:
        yield record.waiting


def conditions(record: SearchRecord) -> str:
    """How latencies were measured; empty without any."""
    told = record.conditions
    return f"Latency is the median of one pass: {told}." if told else ""


def importance_text(importances: Sequence[Importance] | None) -> str:
    """How the table of importances is read, or why there is none."""
    if importances is None:
        return "This is worked out once the search has ended."
    if not importances:
        return "Fewer than ten networks tell nothing about their knobs."
    counts = ", ".join(f"{objective(i.objective).title} {i.networks}" for i in importances)
    return (
        "How much each knob decides whether a network is among the best quarter in an objective "
        "(PED-ANOVA of Optuna; a column sums to 100 %). Grey bars are no longer than chance makes "
        f"them. Networks that tell: {counts}. Choose a knob to see what its options came to."
    )
