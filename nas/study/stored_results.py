"""What the journal of a search holds, read without going on with the search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage

from nas.pareto.budget import Budget
from nas.pareto.result import Result
from nas.study.folder_lock import alone_in
from nas.study.journal import Journal
from nas.study.repeats import Repeat, read_repeats, trained_again
from nas.study.search_folder import journal_in
from trainers.errors import UserError

STARTS = "starts"  # the attribute of the study that holds the names of warm starts, by key
BASELINE = "baseline: "  # and its name: the attribute with its architecture, then its result
AGAIN = "latency again: "  # and a key: the attribute of the study that holds a second measurement
LATER = "latency later: "  # and a key: that of first measurements which had to wait for a device
LOST = "lost: "  # and a key: why a network that had to wait runs on no such device


@dataclass(frozen=True)
class Records:
    """The name of a study, and every ended candidate once, with the last that is known of it.

    `starts`: what the networks that were tried first are called, by key. `baselines`: those that
    were trained to the end.
    """

    id: str
    results: list[Result]
    starts: Mapping[str, str]
    baselines: list[Result]


def read_records(directory: Path, space: str, budget: Budget) -> Records:
    """The records of the search in `directory`, which no other process may be writing.

    What a crash left half written is mended. `space`: the name of the search's; `budget` judges
    latencies that were measured again. Raises UserError where there is no search, and for a damaged
    file of a repeat.
    """
    storage = JournalStorage(Journal(journal_in(directory)))
    try:
        study = optuna.load_study(study_name="search", storage=storage)
        name = study.user_attrs["id"]
    except KeyError:
        raise UserError(f"{directory} holds a search that never began: nothing is lost") from None
    results, repeats = {}, by_key(read_repeats(directory))
    for trial in study.get_trials(deepcopy=False):
        if told := trial.user_attrs.get("result"):
            result = Result.from_json(told, space)
            own = repeats.get(result.key, ())
            results[result.key] = revised(result, study.user_attrs, own, budget)
    starts = study.user_attrs.get(STARTS, {})
    ended = ended_baselines(study.user_attrs, budget)
    baselines = [baseline for baseline in ended if baseline.state == "complete"]
    return Records(name, list(results.values()), starts, baselines)


def baseline_records(attributes: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Of every baseline that was begun, by its name: the record of its architecture, or the whole
    result, which has a `state`, once it ended. `attributes`: those of the study."""
    return {
        name.removeprefix(BASELINE): told
        for name, told in attributes.items()
        if name.startswith(BASELINE)
    }


def ended_baselines(attributes: Mapping[str, Any], budget: Budget) -> list[Result]:
    """The baselines that have a result, in the order in which they were begun."""
    ended = [told for told in baseline_records(attributes).values() if "state" in told]
    results = [Result.from_json(told, told["space"]) for told in ended]
    return [revised(one, attributes, (), budget) for one in results]


def complete_results(directory: Path, space: str, budget: Budget) -> list[Result]:
    """The candidates of a search that were trained to the end, by Dice, the best first.

    Raises UserError where there is no search, or where one is running.
    """
    with alone_in(directory):
        found = [r for r in read_records(directory, space, budget).results if r.state == "complete"]
    return sorted(found, key=lambda r: -(r.dice or 0.0))


def by_key(repeats: Sequence[Repeat]) -> dict[str, list[Repeat]]:
    """The repeats of each network."""
    found: dict[str, list[Repeat]] = {}
    for repeat in repeats:
        found.setdefault(repeat.key, []).append(repeat)
    return found


def revised(
    result: Result, attributes: Mapping[str, Any], repeats: Sequence[Repeat], budget: Budget
) -> Result:
    """A complete result with its `repeats`, and the latencies that were measured later or again, if
    any were; infeasible where they are over the budget. `attributes`: those of the study."""
    result = trained_again(result, repeats)
    again, later = (attributes.get(name + result.key) for name in (AGAIN, LATER))
    if result.state != "complete":
        return result
    if why := attributes.get(LOST + result.key):
        return _infeasible(result, why)
    if again is None and later is None:
        return result
    if again and "conditions" in again and "p50_ms" in again:
        costs = {**result.costs, "latency_ms": again["p50_ms"]}
        changed = replace(result, latency=again, costs=costs)
    else:
        changed = result.measured_on({**(later or {}), **(again or {})})
    if reason := budget.reason(changed.costs):
        return _infeasible(changed, f"{reason}, measured {'again' if again else 'later'}")
    return changed


def _infeasible(result: Result, reason: str) -> Result:
    lost = replace(result, dice=None, dice_per_class={}, trainings=())
    return replace(lost, state="infeasible", reason=reason)
