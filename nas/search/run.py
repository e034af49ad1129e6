"""A whole search: from a configuration and a folder to a Pareto front."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from nas.config.run_config import RunConfig
from nas.config.yaml_file import write_config
from nas.cost.latency_probe import Prober, ProbeTask
from nas.cost.latency_probe.machine_lock import MachineLock
from nas.engine.cluster import Cluster
from nas.engine.open_prober import open_prober
from nas.engine.tune_run import run_trials
from nas.pareto.front import front
from nas.pareto.result import Result
from nas.report.search_record import SearchRecord
from nas.report.terminal_tables import front_table
from nas.report.write_front import try_write_front
from nas.search.candidate_queue import CandidateQueue
from nas.search.closing_message import closing_lines
from nas.search.feasibility import check_run
from nas.search.live_view import Screen
from nas.search.progress_bars import Bars
from nas.search.remeasure_front import remeasure_front
from nas.search.session import Session
from nas.search.tracked import tracked
from nas.study.folder_lock import alone_in
from nas.study.samplers.factory import check_sampler
from nas.study.samplers.warm_start import WarmStart, check_warm_start, warm_start
from nas.study.search_folder import JOURNAL
from nas.study.study import Study
from nas.study.summary import SUMMARY, Summary
from nas.study.training_cost import footprint
from nas.tracking import Tracker
from trainers.atomic import replace_files
from trainers.data import prepare_data
from trainers.data.cache import VolumeCache
from trainers.data.splits import Cases
from trainers.data.task import Task
from trainers.errors import UserError


@dataclass(frozen=True)
class SearchOutcome:
    """The front that a search found, and the search in numbers."""

    members: list[Result]
    summary: Summary


def run_search(
    config: RunConfig, directory: Path, console: Console, address: str | None = None
) -> SearchOutcome:
    """Search, or go on with the search that `directory` holds; everything is kept in there.

    `address`: that of a Ray cluster; without one the trials run on this machine. Raises UserError,
    before anything is trained, for data or settings that cannot work, and KeyboardInterrupt, once
    the front so far is written, where Ctrl-C ended the search.
    """
    directory = directory.resolve()
    with ExitStack() as stack:
        stack.enter_context(alone_in(directory))
        _check_settings(config, directory)
        cluster = stack.enter_context(Cluster(config.resources, address))
        slots = cluster.slots
        with Bars(console) as bars:
            cache, cases = prepare_data(config.data, directory, bars.count)
        classes = len(cache.classes)
        check_run(config, cache.channels, classes)
        starts = warm_start(config, cache.channels, classes)
        lock_name = hashlib.sha256(str(directory).encode()).hexdigest()[:12]
        machine_lock = MachineLock.named(lock_name)
        if config.latency.resources:  # the machine that measures is found through Ray
            cluster.start()
        prober = _open_prober(config, cache.channels, classes, machine_lock.path)
        if prober:
            stack.callback(machine_lock.remove)
            stack.callback(prober.close)
        study = Study.open(
            directory,
            config,
            partial(footprint, config=config, channels=cache.channels, classes=classes),
            facts=_facts(config, cache, cases, prober),
            warm_start=[start.architecture for start in starts],
        )
        study.name_starts({start.architecture.key: start.name for start in starts})
        _write_settings(config, directory, cache, cases)
        tracker = Tracker(config.tracking, directory, tracked(config, study.id))
        with Screen(console) as screen:
            for line in _opening_lines(study, config, starts):
                screen.say(line)
            session = Session(
                study,
                config,
                directory,
                slots,
                CandidateQueue(study, config.budget, prober),
                tracker,
                screen,
                partial(_write_front, directory, study, config, cache),
            )
            tracker.sync(study.results)
            ended = run_trials(
                session, cluster, config.resources, directory, cache.folder, lock_name
            )
            if ended and prober:
                for result in remeasure_front(study, prober, config.objectives, session.say):
                    tracker.trial_end(result, study.results)
        return _finish(session, directory, cache, tracker, console, ended)


def _check_settings(config: RunConfig, directory: Path) -> None:
    """What can be told without the data."""
    if (directory / "checkpoints").exists() and not (directory / JOURNAL).exists():
        # They would be gone on from under other settings.
        raise UserError(
            f"{directory} has checkpoints, but no {JOURNAL}; give --dir another folder, or remove "
            "the checkpoints"
        )
    check_sampler(config.search)
    check_warm_start(config)
    if config.search.early_stopping:
        config.search.early_stopping.rungs(config.train)


def _write_settings(config: RunConfig, directory: Path, cache: VolumeCache, cases: Cases) -> None:
    """What trials, exports and later commands read."""
    write_config(config, directory / "config.yaml")
    (directory / "split.json").write_text(cases.to_json())
    Task.of(cache, config.train).write(directory)


def _opening_lines(study: Study, config: RunConfig, starts: Sequence[WarmStart]) -> Iterator[str]:
    if study.results:
        known = front(study.results, config.objectives)
        yield f"Going on with {len(study.results)} results, {len(known)} of them on the front"
        return
    yield from map(str, starts)


def _open_prober(
    config: RunConfig, channels: int, classes: int, machine_lock: Path
) -> Prober | None:
    """Who measures latencies, where the search wants any."""
    if not config.needs_latency:
        return None
    latency = config.latency
    return open_prober(
        ProbeTask(
            channels=channels,
            classes=classes,
            latency=latency.model_copy(update={"patch": latency.patch or config.train.patch}),
            device=config.resources.device,
            seed=config.seed,
            machine_lock=machine_lock,
        )
    )


def _finish(
    session: Session,
    directory: Path,
    cache: VolumeCache,
    tracker: Tracker,
    console: Console,
    ended: bool,
) -> SearchOutcome:
    """Write, upload and show what was found."""
    config, summary = session.config, session.summary()
    members = _write_front(directory, session.study, config, cache, ended=True)
    status = "FINISHED" if ended else "KILLED"
    _write_summary(directory, summary, status)
    tracker.finish(directory, summary.metrics(), status)
    console.print(front_table(members))
    for line in closing_lines(session, summary, directory, tracker):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    if not ended:
        raise KeyboardInterrupt
    return SearchOutcome(members, summary)


def _write_summary(directory: Path, summary: Summary, status: str) -> None:
    told = json.dumps({**summary.to_json(), "status": status}, indent=1)
    try:
        replace_files({directory / SUMMARY: f"{told}\n".encode()})
    except OSError as error:
        warnings.warn(f"{SUMMARY} cannot be written: {error.strerror or error}", stacklevel=1)


def _write_front(
    directory: Path, study: Study, config: RunConfig, cache: VolumeCache, ended: bool = False
) -> list[Result]:
    """`ended`: with the importance of the knobs, which takes seconds where results are many."""
    record = SearchRecord(
        results=tuple(study.results),
        objectives=config.objectives,
        title=config.name,
        classes=cache.classes[1:],
        space=config.space.space(),
        starts=study.starts,
        id=study.id,
    )
    try_write_front(directory, record, record.importances if ended else None)
    return record.members


def _facts(
    config: RunConfig, cache: VolumeCache, cases: Cases, prober: Prober | None
) -> dict[str, Any]:
    """What results of one study have in common: other values would make them incomparable."""
    whole = config.model_dump(mode="json")
    latency = {"latency": prober.conditions().to_json()} if prober else {}
    return {
        **{name: whole[name] for name in ("seed", "space", "train", "budget")},
        "data": {
            "preprocess": whole["data"]["preprocess"],
            "classes": cache.classes,
            "split": json.loads(cases.to_json()),
        },
        **latency,
    }
