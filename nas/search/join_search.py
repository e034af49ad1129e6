"""A network that was made smaller after a search, put beside its front."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from nas.config.run_config import RunConfig
from nas.config.yaml_file import read_config
from nas.engine.make_evaluator import TRAINING
from nas.export.compress.origin import Origin, origin_of
from nas.export.export_folder import FOLDS, Export
from nas.export.learnt_cases import has_learnt, learnt_cases
from nas.pareto.result import Result
from nas.search.components import data_settings
from nas.search.evaluate_export import evaluate_export
from nas.search.opening import Place, check_same_data, open_place
from nas.search.progress_bars import Bars
from nas.search.same_data import alike
from nas.search.stages import Stages
from nas.study.candidate import Candidate
from nas.study.folder_lock import alone_in
from nas.study.resume_check import differences
from nas.study.search_folder import checkpoint_in, journal_in, search_id
from nas.study.stored_results import Records, keep_compressed, read_records
from nas.study.summary import still_current
from trainers.atomic import replace_files
from trainers.checkpoint import weights_of
from trainers.data.check import Progress
from trainers.data.prepare import prepare_data
from trainers.data.splits import Cases
from trainers.errors import UserError


def join_search(
    directory: Path, folder: Path, console: Console, address: str | None = None
) -> tuple[Result, bool]:
    """Put the compressed network in `folder` beside the front of its search in `directory`.

    It is scored on the search's validation cases, counted, and timed with its own weights, as
    members are; its weights are copied into the search's folder. Returns it, and whether it is new:
    where these weights stand there already, nothing is computed. Another with its architecture and
    method is replaced. `address`: of the Ray cluster with the node that measures, where there is
    one.

    Raises UserError where `folder` is no compression of a network of this search, where its weights
    learnt the validation cases or were trained on another split, or where data, split, patch,
    classes or the conditions of latencies are not the search's, nor its own data what they were;
    and where it is over the search's budget.
    """
    directory = directory.resolve()
    journal_in(directory)
    with alone_in(directory):
        config = read_config(RunConfig, directory / "config.yaml", recorded=True)
        stored = read_records(directory, config.space.name, config.budget)
        export = Export(folder)
        origin = origin_of(export)
        original = _original(export, origin, directory, stored)
        _check_figures(export, origin, config)
        how = {"method": origin.method, "of": origin.trial, "weights": export.fingerprint}
        key = export.architecture.key
        for there in stored.compressed:
            if (there.key, there.compressed) == (key, how):
                return there, False
        candidate = Candidate(original.number, export.architecture)
        with ExitStack() as stack:
            stages = stack.enter_context(Stages(console))
            place = open_place(stack, config, directory, console, address, True, stages)
            stages.end()
            check_same_data(config, directory, place)
            with Bars(console) as bars:
                _check_comparable(export, directory, stored.fixed, place, bars.count)
            result = replace(
                evaluate_export(export, candidate, config, directory, place), compressed=how
            )
        if reason := config.budget.reason(result.most_costs):
            raise UserError(
                f"{folder} is {reason}; the search in {directory} takes no such network"
            )
        replace_files({checkpoint_in(directory, result.name): weights_of(export.weights)})
        with still_current(directory):
            keep_compressed(directory, result)
    return result, True


def _original(export: Export, origin: Origin, directory: Path, stored: Records) -> Result:
    """The network of the search that the exported one was made of."""
    if origin.search_id != search_id(directory):
        raise UserError(
            f"{export.folder} comes from the search {origin.search or 'unknown'}, id "
            f"{origin.search_id or 'unknown'}; {directory} is another one"
        )
    complete = [result for result in stored.results if result.state == "complete"]
    for result in (*complete, *stored.baselines):
        if result.key == origin.trial:
            return result
    raise UserError(
        f"{export.folder} was made of the network {origin.trial}, which {directory} has no more"
    )


def _check_figures(export: Export, origin: Origin, config: RunConfig) -> None:
    """Raise UserError where the figures of the search would not tell what the network is."""
    if config.search.evaluator_name != TRAINING:
        raise UserError(
            f"search.evaluator = {config.search.evaluator_name}: what it tells of its candidates "
            f"is not the Dice of other weights; {export.folder} cannot be compared with them"
        )
    if origin.method == "quantise-aware":
        raise UserError(
            f"{export.folder} was trained for int8 and costs what its original does; what int8 "
            "makes of it is no figure of the search's"
        )
    if export.architecture.key == origin.trial:
        raise UserError(
            f"{export.folder} is the network {origin.trial} as it was: nothing was made smaller"
        )
    if export.weights.name == FOLDS:
        raise UserError(f"{export.folder} uses the networks of several folds; expected one network")


def _check_comparable(
    export: Export,
    directory: Path,
    fixed: Mapping[str, Any],
    place: Place,
    progress: Progress | None,
) -> None:
    """Raise UserError where the network is not to be compared with those of the search, whose
    settings are `fixed`."""
    data, prober = export.config.data, place.prober
    cache, cases = prepare_data(data, export.folder, progress)
    theirs: dict[str, Any] = {
        "data": fixed.get("data"),
        "patch": fixed.get("train", {}).get("patch"),
        **({"latency": fixed.get("latency")} if prober else {}),
    }
    ours: dict[str, Any] = {
        "data": data_settings(data, cache, cases),
        "patch": export.trained.patch,
        **({"latency": prober.conditions().to_json()} if prober else {}),
    }
    found = [
        f"{name} is {its} in the search and {own} here"
        for name, its, own in differences(theirs, json.loads(json.dumps(ours)))
    ]
    if not found and not alike(cache, place.cache, place.cases.validation):
        found = ["data: the cases have the names of the search's, and other volumes"]
    if found:
        raise UserError(
            f"{export.folder} cannot be compared with the networks of {directory}:\n  "
            + "\n  ".join(found)
        )
    _check_learnt(export, place.cases)


def _check_learnt(export: Export, cases: Cases) -> None:
    """Raise UserError for weights that were trained on another split than `retrain.yaml` names."""
    if has_learnt(export, cases.validation):
        raise UserError(
            f"{export.folder}: its weights learnt the search's validation cases "
            "(train.all_cases=true, or another data.split), which can no longer tell its Dice"
        )
    learnt = learnt_cases(export).training
    if learnt and learnt != set(cases.train):
        raise UserError(
            f"{export.folder}: its weights learnt {len(learnt & set(cases.train))} of the search's "
            f"{len(cases.train)} training cases; expected its split. Train it again without "
            "--set data.split"
        )
