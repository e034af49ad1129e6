"""A whole search: from a configuration and a folder to a Pareto front."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from nas.config.data_space import DataSpace
from nas.config.run_config import RunConfig
from nas.config.yaml_file import write_config
from nas.cost.devices.prober import DevicesProber
from nas.cost.latency_probe.machine_lock import MachineLock
from nas.engine.cluster import Cluster
from nas.engine.trial_files import TrialFiles
from nas.engine.tune_run import run_trials
from nas.pareto.front import front
from nas.pareto.result import Result
from nas.report.search_record import SearchRecord
from nas.report.terminal_tables import front_table
from nas.report.write_front import try_write_front
from nas.search.baseline_queue import BaselineQueue
from nas.search.candidate_queue import CandidateQueue
from nas.search.closing_message import closing_lines
from nas.search.components import (
    data_space,
    evaluator,
    fixed_settings,
    machine_lock_name,
    open_prober,
    shared_weights,
    study_settings,
    training_costs,
    worker_settings,
)
from nas.search.feasibility import check_feasible
from nas.search.follow_ups import FrontWriter, Tracking
from nas.search.live_view import Screen
from nas.search.measure_waiting import check_away, measure_waiting
from nas.search.progress_bars import Bars
from nas.search.remeasure_front import remeasure_front
from nas.search.repeats import FrontRepeats, Repeats, choose_repeats
from nas.search.run_supernet import SupernetRun, epochs_before
from nas.search.search_budget import SearchBudget
from nas.search.search_info import search_info
from nas.search.session import Session
from nas.search.time_account import TimeAccount
from nas.search.trained_networks import trained_networks
from nas.search.trial_judge import TrialJudge
from nas.study.baselines import BaselineSizes, check_baselines
from nas.study.folder_lock import alone_in
from nas.study.samplers.factory import check_sampler
from nas.study.samplers.warm_start import (
    WarmStart,
    check_warm_starts,
    warm_starts,
)
from nas.study.scores import Scores
from nas.study.search_folder import JOURNAL
from nas.study.study import Study
from nas.study.study_settings import StudySettings
from nas.study.summary import SUMMARY, Summary
from nas.study.training_cost import TrainingCosts
from nas.tracking import Tracker
from trainers.atomic import replace_files
from trainers.data.cache import VolumeCache
from trainers.data.prepare import prepare_data
from trainers.data.splits import Cases
from trainers.data.task import Task
from trainers.errors import UserError


@dataclass(frozen=True)
class SearchOutcome:
    """The front that a search found, and the search in numbers."""

    members: list[Result]
    summary: Summary


@dataclass(frozen=True)
class Confirm:
    """The `top` networks nearest to the front are to have `seeds` repeats each."""

    top: int
    seeds: int


def run_search(
    config: RunConfig,
    directory: Path,
    console: Console,
    address: str | None = None,
    confirm: Confirm | None = None,
) -> SearchOutcome:
    """Search, or go on with the search that `directory` holds; everything is kept in there.

    `address`: that of a Ray cluster; without one the trials run on this machine. `confirm`: propose
    nothing new, train these repeats; `config` is then the search's own record. Raises UserError,
    before anything is trained, for data or settings that cannot work, and KeyboardInterrupt, once
    the front so far is written, where Ctrl-C ended the search.
    """
    directory = directory.resolve()
    with ExitStack() as stack:
        stack.enter_context(alone_in(directory))
        _check_settings(config, directory)
        if not confirm:
            check_warm_starts(config.search.warm_start, config.space.space())
            check_baselines(config.search.baselines, config.space.space())
        lock_name = machine_lock_name(directory)
        machine_lock = MachineLock.named(lock_name)
        stack.callback(machine_lock.remove)
        cluster = stack.enter_context(Cluster(config.resources, address, lock_name))
        slots = cluster.slots
        with Bars(console) as bars:
            cache, cases = prepare_data(config.data, directory, bars.count)
        if config.latency.nodes:  # the machine that measures is found through Ray
            cluster.start()
        prober = None if confirm else open_prober(config, cache, machine_lock.path)
        if prober:
            stack.callback(prober.close)
        costs = training_costs(config, cache)
        within = data_space(config, cache)
        shared = shared_weights(config, within, costs, directory)
        trained = config.of_candidates()
        before = epochs_before(config)
        budget = SearchBudget(trained.search, trained.train, not confirm, before)
        settings = study_settings(config, within, Scores(directory) if shared else None)
        baselines: BaselineQueue | None = None
        opening: Sequence[str] = ()
        repeats: Repeats
        if confirm:
            study = Study.open(directory, settings, costs)
            repeats = choose_repeats(study, confirm.top, confirm.seeds, config.seed)
        else:
            fixed = fixed_settings(config, cache, cases, prober, within.space.axes)
            if isinstance(prober, DevicesProber):
                check_away(prober, directory)
            study, starts = _open_study(config, directory, within, settings, costs, fixed)
            _write_settings(config, directory, cache, cases)
            beside = BaselineSizes(config.search.baselines, within.space, costs)
            baselines = BaselineQueue(study, beside, len(starts)) if beside.points else None
            opening = (*within.told, *_opening_lines(study, starts))
            repeats = FrontRepeats(study, budget, config.seed)
        tracker = Tracker(config.tracking, directory, search_info(config, study.id))
        write_front = partial(_write_front, directory, study, config, cache)
        time = TimeAccount(slots)
        with Screen(console, config.name) as screen:
            for line in opening:
                screen.on_message(line)
            if isinstance(prober, DevicesProber):
                prober.expect(study.device_conditions)
                measure_waiting(study, prober, screen.on_message)
            session = Session(
                study,
                CandidateQueue(study, config.budget, prober, baselines),
                budget,
                TrialJudge(
                    trained.search, trained.train, config.objectives, study.results, study.starts
                ),
                TrialFiles(directory, config.search.stall_minutes),
                time,
                retries=config.search.retries,
                repeats=repeats,
                callbacks=[FrontWriter(write_front), Tracking(tracker), screen],
            )
            if not session.over:
                cluster.start_ahead()  # its processes import while MLflow is opened
            tracker.sync([*study.results, *study.baselines, *study.compressed])
            workers = worker_settings(config, directory, cache, lock_name, shared)
            ready = True
            if shared and not confirm and not session.over:
                first = [start.architecture for start in starts]
                parts = config, directory, shared, costs, settings, first, len(cases.validation)
                ready = SupernetRun(*parts).run(time, cluster, workers, screen, tracker)
            ended = ready and run_trials(session, cluster, workers)
            if ended and isinstance(prober, DevicesProber):
                for result in measure_waiting(study, prober, session.say):
                    tracker.trial_end(result, study.results)
            if ended and prober:
                with trained_networks(directory, config, cache, cases.validation) as networks:
                    revised = remeasure_front(study, prober, networks, session.say)
                for result in revised:
                    tracker.trial_end(result, study.results)
        summary = session.summary()
        record = write_front(ended=True)
        status = "FINISHED" if ended else "KILLED"
        _write_summary(directory, summary, status)
        tracker.finish(directory, summary.metrics(), status)
        console.print(front_table(record.front))
        for line in closing_lines(session, summary, record, baselines, directory, tracker):
            console.print(line, highlight=False, markup=False, soft_wrap=True)
    if not ended:
        raise KeyboardInterrupt
    return SearchOutcome(record.members, summary)


def _check_settings(config: RunConfig, directory: Path) -> None:
    """What can be told without the data."""
    if (directory / "checkpoints").exists() and not (directory / JOURNAL).exists():
        # They would be gone on from under other settings.
        raise UserError(
            f"{directory} has checkpoints, but no {JOURNAL}; give --dir another folder, or remove "
            "the checkpoints"
        )
    check_sampler(config.search)
    evaluator(config)
    trained = config.of_candidates()
    if trained.search.early_stopping:
        trained.search.early_stopping.rungs(trained.train)


def _open_study(
    config: RunConfig,
    directory: Path,
    within: DataSpace,
    settings: StudySettings,
    costs: TrainingCosts,
    fixed: Mapping[str, Any],
) -> tuple[Study, Sequence[WarmStart]]:
    """The study of a search, and what it tries first."""
    check_feasible(within.space, within.restrict, costs)
    starts = warm_starts(config.search, within, costs)
    study = Study.open(
        directory,
        settings,
        costs,
        fixed=fixed,
        warm_start=[start.architecture for start in starts],
    )
    study.name_starts({start.architecture.key: start.name for start in starts})
    return study, starts


def _write_settings(config: RunConfig, directory: Path, cache: VolumeCache, cases: Cases) -> None:
    """What trials, exports and later commands read."""
    write_config(config, directory / "config.yaml")
    (directory / "split.json").write_text(cases.to_json())
    Task.of(cache, config.train).write(directory)


def _opening_lines(study: Study, starts: Sequence[WarmStart]) -> Iterator[str]:
    if study.results:
        known = front(study.results, study.objectives)
        yield f"Going on with {len(study.results)} results, {len(known)} of them on the front"
        return
    yield from map(str, starts)


def _write_summary(directory: Path, summary: Summary, status: str) -> None:
    told = json.dumps({**summary.to_json(), "status": status}, indent=1)
    try:
        replace_files({directory / SUMMARY: f"{told}\n".encode()})
    except OSError as error:
        warnings.warn(f"{SUMMARY} cannot be written: {error.strerror or error}", stacklevel=1)


def _write_front(
    directory: Path, study: Study, config: RunConfig, cache: VolumeCache, ended: bool = False
) -> SearchRecord:
    """`ended`: with the importance of the knobs, which takes seconds where results are many."""
    record = SearchRecord(
        results=tuple(study.results),
        objectives=config.objectives,
        title=config.name,
        classes=cache.targets.names,
        space=config.space.space(),
        starts=study.starts,
        baselines=study.baselines,
        compressed=study.compressed,
        id=study.id,
    )
    try_write_front(directory, record, record.importances if ended else None)
    return record
