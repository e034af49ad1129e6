"""A network that was made smaller after a search, put beside its front."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nas.config.run_config import RunConfig
from nas.config.yaml_file import read_config
from nas.cost.failure import Failure
from nas.cost.latency import Latency
from nas.cost.latency_probe import Prober, Trained
from nas.cost.latency_probe.machine_lock import MachineLock
from nas.engine.cluster import Cluster
from nas.engine.make_evaluator import TRAINING
from nas.export.compress.origin import Origin, origin_of
from nas.export.export_folder import FOLDS, Export
from nas.pareto.result import Result, known
from nas.search.components import (
    data_settings,
    machine_lock_name,
    open_prober,
    training_costs,
)
from nas.search.trained_networks import trained_networks
from nas.study.candidate import Candidate
from nas.study.folder_lock import alone_in
from nas.study.kept_share import at_kept_share
from nas.study.resume_check import differences
from nas.study.search_folder import checkpoint_in, journal_in, search_id
from nas.study.stored_results import Records, keep_compressed, read_records
from trainers.atomic import replace_files
from trainers.checkpoint import weights_of
from trainers.data.cache import VolumeCache
from trainers.data.check import Progress
from trainers.data.prepare import prepare_data
from trainers.data.splits import Cases
from trainers.errors import TrainingDivergedError, UserError
from trainers.offers import pop_network_metrics
from trainers.precision import autocast
from trainers.validation import score_network


def join_search(
    directory: Path, folder: Path, progress: Progress | None = None, address: str | None = None
) -> tuple[Result, bool]:
    """Put the compressed network in `folder` beside the front of its search in `directory`.

    It is scored on the search's validation cases, counted, and timed with its own weights, as
    members are; its weights are copied into the search's folder. Returns it, and whether it is new:
    where these weights stand there already, nothing is computed. Another with its architecture and
    method is replaced. `address`: of the Ray cluster with the node that measures, where there is
    one.

    Raises UserError where `folder` is no compression of a network of this search, where its weights
    learnt the validation cases, or where data, split, patch, classes or the conditions of latencies
    are not the search's; and where it is over the search's budget.
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
        with _opened(directory, config, progress, address) as search:
            search.check(export, stored.fixed, progress)
            result = replace(search.result(export, candidate), compressed=how)
        if reason := config.budget.reason(result.most_costs):
            raise UserError(
                f"{folder} is {reason}; the search in {directory} takes no such network"
            )
        replace_files({checkpoint_in(directory, result.name): weights_of(export.weights)})
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
    named = config.search.evaluator
    evaluator = named if isinstance(named, str) else named.get("name")
    if evaluator != TRAINING:
        raise UserError(
            f"search.evaluator = {evaluator}: what it tells of its candidates is not the Dice of "
            f"other weights; {export.folder} cannot be compared with them"
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
    if export.saw_validation:
        raise UserError(
            f"{export.folder}: its weights learnt the search's validation cases "
            "(train.all_cases=true), which can no longer tell its Dice"
        )


@dataclass(frozen=True)
class _Opened:
    """The search, ready to evaluate one more network."""

    directory: Path
    config: RunConfig
    cache: VolumeCache
    cases: Cases
    prober: Prober | None

    def check(self, export: Export, fixed: Mapping[str, Any], progress: Progress | None) -> None:
        """Raise UserError where the network is not to be compared with those of the search."""
        data = export.config.data
        cache, cases = prepare_data(data, export.folder, progress)
        theirs: dict[str, Any] = {
            "data": fixed.get("data"),
            "patch": fixed.get("train", {}).get("patch"),
            **({"latency": fixed.get("latency")} if self.prober else {}),
        }
        ours: dict[str, Any] = {
            "data": data_settings(data, cache, cases),
            "patch": export.trained.patch,
            **({"latency": self.prober.conditions().to_json()} if self.prober else {}),
        }
        found = [
            f"{name} is {its} in the search and {own} here"
            for name, its, own in differences(theirs, json.loads(json.dumps(ours)))
        ]
        if not found and not _alike(cache, self.cache, self.cases.validation):
            found = ["data: the cases have the names of the search's, and other volumes"]
        if found:
            raise UserError(
                f"{export.folder} cannot be compared with the networks of {self.directory}:\n  "
                + "\n  ".join(found)
            )

    def result(self, export: Export, candidate: Candidate) -> Result:
        """The network as the search evaluates its own. Raises UserError where it fails."""
        costs = training_costs(self.config, self.cache)
        candidate = replace(candidate, costs=costs(candidate.architecture))
        dice, per_class, measured = self._scores(export)
        result = candidate.result(
            state="complete",
            dice=dice,
            dice_per_class=per_class,
            measured=measured,
            epochs=export.retrained.get("epochs", 0),
            train_seconds=export.retrained.get("seconds", 0.0),
        )
        result = at_kept_share(result, costs)
        return self._timed(export, result) if self.prober else result

    def _scores(self, export: Export) -> tuple[float, dict[str, float | None], dict[str, float]]:
        """Its Dice, that of each class, and what it tells of itself, as in a trial's validation."""
        train, device = self.config.of_candidates().train, self.config.resources.device
        network = export.loaded(export.weights).to(device)
        compute = partial(autocast, train, torch.device(device))
        try:
            dice, classes = score_network(
                network, self.cache, self.cases.validation, train, compute
            )
        except TrainingDivergedError as error:
            raise UserError(f"{export.folder}: {error}") from error
        if math.isnan(dice):
            raise UserError(f"{export.folder}: its Dice is no number: no case has any class")
        each = {name: known(value) for name, value in classes.items()}
        return dice, each, pop_network_metrics(network)

    def _timed(self, export: Export, result: Result) -> Result:
        """With its latency, by its own weights and on windows of validation cases, as members have
        it in the end."""
        assert self.prober is not None
        place = self.directory, self.config, self.cache, self.cases.validation
        with trained_networks(*place) as networks:
            windows = networks.of([result]).windows
            self.prober.submit([export.architecture], Trained([export.weights], windows))
            outcomes: list[Latency | Failure] | None = None
            while outcomes is None:
                outcomes = self.prober.poll(1.0)
        [latency] = outcomes
        if isinstance(latency, Failure):
            raise UserError(f"{export.folder}: {latency.reason}")
        costs = {**result.costs, "latency_ms": latency.p50_ms}
        device = latency.conditions.device
        return replace(result, costs=costs, device=device, latency=latency.to_json())


def _alike(one: VolumeCache, other: VolumeCache, names: Sequence[str]) -> bool:
    """Whether two caches hold the same cases: all have the same shapes and as many voxels of every
    class, and those of `names` the same voxels."""
    if one.folder.name == other.folder.name:  # by name, size and time of every file
        return True
    return one.entries == other.entries and all(
        np.allclose(one.image(name), other.image(name), atol=1e-3)
        and np.array_equal(one.label(name), other.label(name))
        for name in names
    )


@contextmanager
def _opened(
    directory: Path, config: RunConfig, progress: Progress | None, address: str | None
) -> Iterator[_Opened]:
    """The search's data, and who measures its latencies, which nothing else disturbs."""
    with ExitStack() as stack:
        cache, cases = prepare_data(config.data, directory, progress)
        name = machine_lock_name(directory)
        machine_lock = MachineLock.named(name)
        stack.callback(machine_lock.remove)
        if config.needs_latency and config.latency.resources:
            stack.enter_context(Cluster(config.resources, address, name)).start()
        prober = open_prober(config, cache, machine_lock.path)
        if prober:
            stack.callback(prober.close)
        yield _Opened(directory, config, cache, cases, prober)
