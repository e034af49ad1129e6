"""What a search needs before its first trial: machines and data, then its study."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from nas.config.run_config import RunConfig
from nas.cost.devices.prober import DevicesProber
from nas.cost.latency_probe import Prober
from nas.cost.latency_probe.machine_lock import MachineLock, lock_name
from nas.engine.cluster import Cluster
from nas.export.shared_weights import SharedWeights
from nas.pareto.front import front
from nas.report.terminal_tables import shell_path
from nas.search.baseline_queue import BaselineQueue
from nas.search.components import (
    data_settings,
    data_space,
    fixed_settings,
    open_prober,
    shared_weights,
    study_settings,
    training_costs,
)
from nas.search.feasibility import check_feasible
from nas.search.measure_waiting import check_away
from nas.search.progress_bars import Bars
from nas.search.repeats import FrontRepeats, Repeats, choose_repeats
from nas.search.run_supernet import SupernetRun, epochs_before
from nas.search.same_data import files_of_search
from nas.search.search_budget import SearchBudget
from nas.search.settings_files import write_settings
from nas.search.stages import Stages
from nas.study.baselines import BaselineSizes
from nas.study.resume_check import DATA, FILES, check_data_unchanged
from nas.study.samplers.warm_start import WarmStart, warm_starts
from nas.study.scores import Scores
from nas.study.search_folder import recorded_settings
from nas.study.study import Study
from trainers.counted import counted
from trainers.data.cache import VolumeCache
from trainers.data.prepare import prepare_data
from trainers.data.splits import Cases


@dataclass(frozen=True)
class Confirm:
    """The `top` networks nearest to the front are to have `seeds` repeats each."""

    top: int
    seeds: int


@dataclass(frozen=True)
class Place:
    """Where a search runs, and on what. `slots`: trials side by side. `lock_name`: of the lock
    between trials and measurements. `prober`: None where no latency is measured."""

    cluster: Cluster
    slots: int
    lock_name: str
    cache: VolumeCache
    cases: Cases
    prober: Prober | DevicesProber | None


@dataclass(frozen=True)
class Begun:
    """A study that is open, and what is to be done with it. `shared`: weights that candidates have
    in common; `supernet`: what trains these first. `opening`: lines to be said."""

    study: Study
    shared: SharedWeights | None
    budget: SearchBudget
    repeats: Repeats
    supernet: SupernetRun | None = None
    baselines: BaselineQueue | None = None
    opening: Sequence[str] = ()


def open_place(
    stack: ExitStack,
    config: RunConfig,
    directory: Path,
    console: Console,
    address: str | None,
    measures: bool,
    stages: Stages,
) -> Place:
    """Machines and prepared data, given back when `stack` is left.

    `measures`: latencies as well, where the search wants any. `stages` are told of each.
    Raises UserError where one of them cannot be used.
    """
    name = lock_name(directory)
    stack.callback(MachineLock.named(name).remove)
    if address:
        stages.begin(f"Connecting to the Ray cluster at {address}")
    cluster = stack.enter_context(Cluster(config.resources, address, name))
    slots = cluster.slots
    stages.begin("Preparing the data")
    with Bars(console, stages=stages) as bars:
        cache, cases = prepare_data(config.data, directory, bars.count)
    if config.latency.nodes:  # the machine that measures is found through Ray
        stages.begin("Starting Ray")
        cluster.start()
    if measures and config.needs_latency:
        stages.begin("Making ready to measure latencies")
    prober = open_prober(config, cache, name) if measures else None
    if prober:
        stack.callback(prober.close)
        if config.latency.here:
            cluster.check_user()
    return Place(cluster, slots, name, cache, cases, prober)


def begin(config: RunConfig, directory: Path, place: Place, confirm: Confirm | None) -> Begun:
    """Begin the search in `directory`, go on with it, or only train its repeats again.

    Raises UserError for a search there with other settings, and for a space without a network that
    is within the budget.
    """
    costs = training_costs(config, place.cache)
    within = data_space(config, place.cache)
    shared = shared_weights(config, within, costs, directory)
    trained = config.of_candidates()
    before = epochs_before(config, directory)
    budget = SearchBudget(
        trained.search, trained.train, not confirm, before, baseline_epochs=config.train.epochs
    )
    settings = study_settings(config, within, Scores(directory) if shared else None)
    if confirm:
        check_same_data(config, directory, place)
        study = Study.open(directory, settings, costs)
        repeats = choose_repeats(study, confirm.top, confirm.seeds, config.seed)
        return Begun(study, shared, budget, repeats)
    cache, cases = place.cache, place.cases
    files = _files(config, directory, place)
    fixed = fixed_settings(config, cache, cases, place.prober, within.space.axes, files)
    if isinstance(place.prober, DevicesProber):
        check_away(place.prober, directory)
    check_feasible(within.space, within.restrict, costs)
    starts = warm_starts(config.search, within, costs)
    first = [start.architecture for start in starts]
    study = Study.open(directory, settings, costs, fixed=fixed, warm_start=first)
    study.name_starts({start.architecture.key: start.name for start in starts})
    write_settings(config, directory, cache, cases)
    baselines = BaselineSizes(config.search.baselines, within.space, costs)
    parts = costs, settings, first, len(cases.validation)
    return Begun(
        study,
        shared,
        budget,
        FrontRepeats(study, budget, config.seed),
        SupernetRun(config, directory, shared, *parts) if shared else None,
        BaselineQueue(study, baselines, len(starts), config.train.epochs)
        if baselines.points
        else None,
        (*about_search(config, directory, place), *within.told, *_opening_lines(study, starts)),
    )


def check_same_data(config: RunConfig, directory: Path, place: Place) -> None:
    """Raise UserError where the data are no longer those that the search in `directory` recorded.

    For who trains or scores more networks by the search's own configuration: cases may have been
    added since, or labels corrected, and the results would not be comparable.
    """
    now = {
        DATA: data_settings(config.data, place.cache, place.cases),
        FILES: _files(config, directory, place),
    }
    check_data_unchanged(recorded_settings(directory), json.loads(json.dumps(now)), directory)


def _files(config: RunConfig, directory: Path, place: Place) -> str:
    """The fingerprint of the data; see `files_of_search`."""
    names = (*place.cases.train, *place.cases.validation)
    return files_of_search(directory, config.data.cache_folder(directory), place.cache, names)


def about_search(config: RunConfig, directory: Path, place: Place) -> Iterator[str]:
    """What is searched on, how long, where, and how it is ended."""
    parts = ", ".join(f"{len(names)} {part}" for part, names in place.cases.parts.items())
    trained = config.of_candidates()
    search, epochs = trained.search, trained.train.epochs
    whole = "" if search.epochs else f", those of {search.trials} whole trainings"
    budget = {
        "epochs": f"{search.all_epochs(epochs)} epochs in all{whole}",
        "trials": counted(search.trials, "network"),
        "hours": f"{search.hours:g} hours" if search.hours is not None else "",
    }[search.budget]
    if search.hours is not None and search.budget != "hours":
        budget = f"{budget}, {search.hours:g} hours at most"
    side = f"{place.slots} side by side" if place.slots > 1 else "one after the other"
    yield f"Data: {parts} cases. Budget: {budget}; {epochs} epochs a network at most, {side}"
    if told := config.short_retraining:
        yield f"Note: {told}; raise retrain.epochs, or leave it out for four times train.epochs"
    yield (
        f"Folder: {shell_path(directory)}. Ctrl-C once ends it after the running epochs; the same "
        "command goes on"
    )


def _opening_lines(study: Study, starts: Sequence[WarmStart]) -> Iterator[str]:
    if study.results:
        known = front(study.results, study.objectives)
        results = counted(len(study.results), "result")
        yield f"Going on with {results}, {len(known)} of them on the front"
        return
    yield from first_networks(starts)


def first_networks(starts: Sequence[WarmStart]) -> Iterator[str]:
    """What is tried first, the ladder's sizes in one line but for those that were changed."""
    plain = [start for start in starts if start.is_rung and not start.changes]
    if plain:
        alone = f" ({plain[0].name})"
        first, last = plain[0].name, plain[-1].name.split()[-1]
        several = f" in {len(plain)} sizes, smallest first ({first} to {last})"
        yield f"Tried first: the plain network of the space{several if plain[1:] else alone}"
    yield from (f"Tried first: {start}" for start in starts if start not in plain)
