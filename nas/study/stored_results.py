"""What the journal of a search holds, read without going on with the search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage

from nas.pareto.budget import Budget
from nas.pareto.result import Result
from nas.study.damage import damage_told
from nas.study.folder_lock import reading_in
from nas.study.journal import Journal
from nas.study.repeats import Repeat, read_repeats, trained_again
from nas.study.search_folder import JOURNAL, journal_in
from trainers.errors import UserError

STARTS = "starts"  # the attribute of the study that holds the names of warm starts, by key
BASELINE = "baseline: "  # and its name: the attribute with its architecture, then its result
COMPRESSED = "compressed: "  # and its name: the attribute with its result
AGAIN = "latency again: "  # and a name: the attribute of the study that holds a second measurement
KEPT = "latency kept: "  # and a name: why there is no second measurement
LATER = "latency later: "  # and a name: that of first measurements which had to wait for a device
LOST = "lost: "  # and a name: why a network that had to wait runs on no such device


@dataclass(frozen=True)
class Records:
    """The name of a study, and every ended candidate once, with the last that is known of it.

    `starts`: what the networks that were tried first are called, by key. `baselines`: those that
    were trained to the end. `compressed`: those that were made smaller after the search.
    `infeasible_beside`: those of either that are infeasible. `fixed`: what `Study.open` was given
    as such.
    """

    id: str
    results: list[Result]
    starts: Mapping[str, str]
    baselines: list[Result]
    compressed: list[Result]
    infeasible_beside: list[Result]
    fixed: Mapping[str, Any]


def read_records(directory: Path, space: str, budget: Budget) -> Records:
    """The records of the search in `directory`, which no other process may be writing.

    What a crash left half written is mended. `space`: the name of the search's; `budget` judges
    latencies that were measured again. Raises UserError where there is no search, and for a damaged
    file of a repeat.
    """
    repeats = by_key(read_repeats(directory))
    with damage_told(directory / JOURNAL):
        study, results = _load(directory), {}
        known = study.user_attrs  # Optuna copies them each time
        for trial in study.get_trials(deepcopy=False):
            if told := trial.user_attrs.get("result"):
                result = Result.from_json(told, space)
                own = repeats.get(result.key, ())
                results[result.key] = revised(result, known, own, budget)
        baselines, compressed = ended_baselines(known, budget), compressed_results(known, budget)
        return Records(
            known["id"],
            list(results.values()),
            known.get(STARTS, {}),
            [one for one in baselines if one.state == "complete"],
            [one for one in compressed if one.state == "complete"],
            [one for one in (*baselines, *compressed) if one.state != "complete"],
            known.get("facts", {}),
        )


def keep_compressed(directory: Path, result: Result) -> None:
    """Record a compressed network in the journal of the search in `directory`, in the place of one
    of the same name.

    No other process may be writing there. Raises as `read_records` does.
    """
    study = _load(directory)
    study.set_user_attr(COMPRESSED + result.name, result.to_json())
    for attribute in (AGAIN + result.name, KEPT + result.name):  # of the one before
        if attribute in study.user_attrs:
            study.set_user_attr(attribute, None)


def _load(directory: Path) -> optuna.Study:
    storage = JournalStorage(Journal(journal_in(directory)))
    with suppress(KeyError):
        study = optuna.load_study(study_name="search", storage=storage)
        if "id" in study.user_attrs:
            return study
    raise UserError(f"{directory} holds a search that never began: nothing is lost")


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
    return [_beside(told, attributes, budget) for told in ended]


def compressed_results(attributes: Mapping[str, Any], budget: Budget) -> list[Result]:
    """The networks that were made smaller after the search, in the order in which they came."""
    kept = [told for name, told in attributes.items() if name.startswith(COMPRESSED)]
    return [_beside(told, attributes, budget) for told in kept]


def _beside(told: Mapping[str, Any], attributes: Mapping[str, Any], budget: Budget) -> Result:
    result = Result.from_json(told, told["space"])
    return revised(result, attributes, (), budget)


def complete_results(directory: Path, space: str, budget: Budget) -> list[Result]:
    """The candidates of a search that were trained to the end, by Dice, the best first.

    Raises UserError where there is no search, or where one is running.
    """
    with reading_in(directory):
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
    again, later = (attributes.get(name + result.name) for name in (AGAIN, LATER))
    if result.state != "complete":
        return result
    if why := attributes.get(LOST + result.name):
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
