"""A whole search: from a configuration and a folder to a Pareto front."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from nas.admission import Admission
from nas.checks import check_run, warm_start
from nas.config import RunConfig
from nas.config_file import config_yaml, write_config
from nas.engine import count_slots, ray_running, run_trials
from nas.footprint import footprint
from nas.front_files import write_front
from nas.gate import Gate
from nas.probe import Prober, ProbeTask, open_prober
from nas.progress import Bars
from nas.remeasure import remeasure_front
from nas.result import Result
from nas.session import Session, Summary
from nas.study import JOURNAL, Study
from nas.task import Task
from nas.terminal import Screen, clock, front_table
from nas.tracking import Tracker
from trainers.data import prepare_data
from trainers.data.cache import VolumeCache
from trainers.data.splits import Cases
from trainers.errors import UserError


@dataclass(frozen=True)
class SearchOutcome:
    """The front that a search found, and the search in numbers."""

    members: list[Result]
    summary: Summary


def run_search(config: RunConfig, directory: Path, console: Console) -> SearchOutcome:
    """Search, or go on with the search that `directory` holds; everything is kept in there.

    Raises UserError, before anything is trained, for data or settings that cannot work, and
    KeyboardInterrupt, once the front so far is written, where Ctrl-C ended the search.
    """
    directory = directory.resolve()
    with ExitStack() as stack:
        stack.enter_context(_alone_in(directory))
        _check_folder(directory)
        slots = count_slots(config.resources)
        warm = warm_start(config)
        with Bars(console) as bars:
            cache, cases = prepare_data(config.data, directory, bars.count)
        classes = len(cache.classes)
        check_run(config, cache.channels, classes)
        gate = hashlib.sha256(str(directory).encode()).hexdigest()[:12]
        if config.latency.resources:  # the machine that measures is found through Ray
            stack.enter_context(ray_running(config.resources, slots))
        prober = _open_prober(config, cache.channels, classes, Gate.default_path(gate))
        if prober:
            stack.callback(Gate(Gate.default_path(gate)).remove)
            stack.callback(prober.close)
        costs = partial(footprint, config=config, channels=cache.channels, classes=classes)
        facts = _facts(config, cache, cases, prober)
        study = Study.open(directory, config, costs, facts=facts, warm_start=warm)
        write_config(config, directory / "config.yaml")
        (directory / "split.json").write_text(cases.to_json())
        Task.of(cache, config.train).write(directory)
        tracker = _open_tracker(config, directory, study)
        publish = partial(_write_front, directory, study, config, cache)
        admission = Admission(study, config.budget, prober)
        with Screen(console) as screen:
            session = Session(study, config, directory, slots, admission, tracker, screen, publish)
            ended = run_trials(session, directory, cache.folder, gate)
            if ended and prober:
                for result in remeasure_front(
                    study, prober, config.space, config.objectives, session.say
                ):
                    tracker.trial_end(result)
        return _finish(session, directory, cache, tracker, console, ended)


def _open_prober(config: RunConfig, channels: int, classes: int, gate: Path) -> Prober | None:
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
            gate=gate,
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
    members = _write_front(directory, session.study, config, cache)
    (directory / "summary.json").write_text(json.dumps(summary.to_json(), indent=1) + "\n")
    tracker.finish(directory, summary.metrics(), "FINISHED" if ended else "KILLED")
    console.print(front_table(members))
    for line in _closing_lines(session, summary, directory, tracker):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    if not ended:
        console.print("Interrupted. The same command goes on from here.")
        raise KeyboardInterrupt
    return SearchOutcome(members, summary)


def _write_front(
    directory: Path, study: Study, config: RunConfig, cache: VolumeCache
) -> list[Result]:
    return write_front(directory, study.results, config.objectives, config.name, cache.classes[1:])


def _closing_lines(
    session: Session, summary: Summary, directory: Path, tracker: Tracker
) -> Iterator[str]:
    if session.notice:
        yield f"Ended early: {session.notice}"
    yield (
        f"{summary.trials} trials, {summary.infeasible} infeasible, {summary.repeats} repeats "
        f"answered from the journal, in {clock(summary.wall_seconds)}; "
        f"{summary.training_share:.0%} of worker time in training and validation"
    )
    folder = _shown(directory)
    if summary.front:
        yield f"Browse: {folder}/front.html"
        yield f"Next:   segnas export {folder} --pick knee --to OUT"
    if command := tracker.ui_command():
        yield f"MLflow: {command}"
    if link := tracker.link():
        yield f"        {link}"


def _shown(directory: Path) -> Path:
    here = Path.cwd()
    return directory.relative_to(here) if directory.is_relative_to(here) else directory


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


def _open_tracker(config: RunConfig, directory: Path, study: Study) -> Tracker:
    return Tracker.open(
        config.tracking,
        directory,
        name=config.name,
        search_id=study.id,
        config_yaml=config_yaml(config),
        params={
            "space": config.space.name,
            "sampler": config.search.sampler,
            "trials": config.search.trials,
            "epochs": config.train.epochs,
            "objectives": ", ".join(config.objectives),
            "seed": config.seed,
        },
    )


def _check_folder(directory: Path) -> None:
    """Checkpoints without their journal would be gone on from under other settings."""
    if (directory / "checkpoints").exists() and not (directory / JOURNAL).exists():
        raise UserError(
            f"{directory} has checkpoints, but no {JOURNAL}; give --dir another folder, or remove "
            "the checkpoints"
        )


@contextmanager
def _alone_in(directory: Path) -> Iterator[None]:
    """Make the folder and hold it: two searches in one folder would spoil its journal."""
    import fcntl

    try:
        directory.mkdir(parents=True, exist_ok=True)
        lock = (directory / ".lock").open("w")
    except OSError as error:
        raise UserError(f"{directory} cannot hold a search: {error.strerror}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                f"another search is running in {directory}; wait or give --dir"
            ) from None
        yield
