"""A whole search: from a configuration and a folder to a Pareto front."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

from rich.console import Console

from nas.config.run_config import RunConfig
from nas.cost.devices.prober import DevicesProber
from nas.engine.trial_files import TrialFiles
from nas.engine.tune_run import run_trials
from nas.pareto.result import Result
from nas.report.progress import Progress
from nas.report.safe_console import print_line
from nas.report.search_record import SearchRecord
from nas.report.terminal_tables import front_table, left_out, shell_path
from nas.report.untrained import kept_untrained
from nas.report.write_front import try_write_front
from nas.search.callback import SearchCallback
from nas.search.candidate_queue import CandidateQueue
from nas.search.clear_folder import clear_folder
from nas.search.closing_message import closing_lines
from nas.search.components import data_space, evaluator, training_costs, worker_settings
from nas.search.follow_ups import FrontWriter, Tracking
from nas.search.live_view import Screen
from nas.search.measure_waiting import measure_waiting
from nas.search.opening import Begun, Confirm, Place, begin, open_place
from nas.search.remeasure_front import remeasure_front
from nas.search.run_supernet import check_epochs
from nas.search.search_info import search_info
from nas.search.session import Session
from nas.search.spent_seconds import keep_spent, read_spent
from nas.search.stages import Stages
from nas.search.time_account import TimeAccount
from nas.search.trained_networks import trained_networks
from nas.search.trial_judge import TrialJudge
from nas.study.baselines import check_baselines
from nas.study.folder_lock import alone_in
from nas.study.samplers.factory import check_sampler
from nas.study.samplers.warm_start import check_warm_starts
from nas.study.search_folder import JOURNAL
from nas.study.study import Study
from nas.study.summary import Summary, write_summary
from nas.tracking import Tracker
from trainers.errors import UserError


@dataclass(frozen=True)
class SearchOutcome:
    """The front that a search found, and the search in numbers."""

    members: list[Result]
    summary: Summary


def run_search(
    config: RunConfig,
    directory: Path,
    console: Console,
    address: str | None = None,
    confirm: Confirm | None = None,
    stages: Stages | None = None,
) -> SearchOutcome:
    """Search, or go on with the search that `directory` holds; everything is kept in there.

    `address`: that of a Ray cluster; without one the trials run on this machine. `confirm`: propose
    nothing new, train these repeats; `config` is then the search's own record. `stages`: those that
    the caller has begun, on the same console. Raises UserError, before anything is trained, for
    data or settings that cannot work, and KeyboardInterrupt, once the front so far is written,
    where Ctrl-C ended the search.
    """
    directory = directory.resolve()
    with ExitStack() as stack:
        stages = stack.enter_context(stages or Stages(console))
        stack.enter_context(alone_in(directory))
        _check_settings(config, directory, confirm)
        measures = not confirm
        place = open_place(stack, config, directory, console, address, measures, stages)
        time = _time(directory, place.slots, confirm)
        stages.begin("Looking at what the budget lets through")
        begun = begin(config, directory, place, confirm)
        study = begun.study
        tracker = Tracker(config.tracking, directory, search_info(config, study.id))
        write_front = _front_writing(directory, study, config, place, tracker)
        with Screen(console, config.name, stages) as screen:
            for line in begun.opening:
                screen.on_message(line)
            if isinstance(place.prober, DevicesProber):
                stages.end()  # nothing turns while latencies are measured
                place.prober.expect(study.device_conditions)
                measure_waiting(study, place.prober, screen.on_message)
            front = FrontWriter(lambda progress: write_front(progress, False))
            callbacks = [front, Tracking(tracker), screen]
            files = TrialFiles(directory, config.search.stall_minutes)
            session = _session(config, files, place, begun, time, callbacks)
            clear_folder(directory, files, study, screen.on_message)
            if not session.over:
                stages.begin("Starting Ray")
                place.cluster.start_ahead()  # its processes import while MLflow is opened
            if config.tracking.enabled:
                stages.begin("Opening MLflow")
            tracker.sync([*study.results, *study.ended_beside])
            if not session.over:
                stages.begin("Starting the workers and the first candidates")
            ended = _train(config, directory, place, begun, session, screen, tracker)
            time.close()
            clear_folder(directory, files, study, screen.on_message)
            if ended:
                _remeasure(config, directory, place, session, tracker)
            tracker.trials_end(study.results)
        summary = session.summary()
        record = write_front(None, ended)
        status = "FINISHED" if ended else "KILLED"
        write_summary(directory, {**summary.to_json(), "status": status})
        tracker.finish(directory, summary.metrics(), status)
        if record.members or record.beside:
            console.print(front_table(record.front, counting=False))
            if told := left_out(record.front, f"segnas front {shell_path(directory)}"):
                print_line(console, told)
        parts = session, summary, record, begun.baselines, directory, tracker, stages.seconds
        for line in closing_lines(*parts):
            print_line(console, line)
    if not ended:
        raise KeyboardInterrupt
    return SearchOutcome(record.members, summary)


def _check_settings(config: RunConfig, directory: Path, confirm: Confirm | None) -> None:
    """What can be told without the data."""
    if (directory / "checkpoints").exists() and not (directory / JOURNAL).exists():
        # They would be gone on from under other settings.
        raise UserError(
            f"{directory} has checkpoints, but no {JOURNAL}; give --dir another folder, or remove "
            "the checkpoints"
        )
    check_sampler(config.search)
    evaluator(config)
    check_epochs(config, directory)
    if config.search.early_stopping:
        config.search.early_stopping.rungs(config.train)
    if not confirm:
        check_warm_starts(config.search.warm_start, config.space.space())
        check_baselines(config.search.baselines, config.space.space())


def _time(directory: Path, slots: int, confirm: Confirm | None) -> TimeAccount:
    """What counts the search's hours from now on, those of earlier sessions as well; repeats that
    were chosen after the search take nothing of them."""
    if confirm:
        return TimeAccount(slots)
    time = TimeAccount(slots, before=read_spent(directory), keep=partial(keep_spent, directory))
    time.open()
    return time


def _session(
    config: RunConfig,
    files: TrialFiles,
    place: Place,
    begun: Begun,
    time: TimeAccount,
    callbacks: Sequence[SearchCallback],
) -> Session:
    """Who decides, from trial to trial, what is trained."""
    study, trained = begun.study, config.of_candidates()
    return Session(
        study,
        CandidateQueue(study, config.budget, place.prober, begun.baselines),
        begun.budget,
        TrialJudge(trained.search, trained.train, config.objectives, study.results, study.starts),
        files,
        time,
        retries=config.search.retries,
        repeats=begun.repeats,
        callbacks=callbacks,
    )


def _train(
    config: RunConfig,
    directory: Path,
    place: Place,
    begun: Begun,
    session: Session,
    screen: Screen,
    tracker: Tracker,
) -> bool:
    """Train shared weights, where the search has any, then all that the session asks for.

    Returns False where Ctrl-C ended it before.
    """
    workers = worker_settings(config, directory, place.cache, place.lock_name, begun.shared)
    ready = True
    if begun.supernet and not session.over:
        ready = begun.supernet.run(session.time, place.cluster, workers, screen, tracker)
    return ready and run_trials(session, place.cluster, workers)


def _remeasure(
    config: RunConfig, directory: Path, place: Place, session: Session, tracker: Tracker
) -> None:
    """The latencies that are owed and those of the front, where there are any, now that nothing
    else computes."""
    if not place.prober:
        return
    study, names = session.study, place.cases.validation
    revised: list[Result] = []
    if isinstance(place.prober, DevicesProber):
        revised += measure_waiting(study, place.prober, session.say)
    with trained_networks(directory, config, place.cache, names) as networks:
        revised += remeasure_front(study, place.prober, networks, session.say)
    for result in revised:
        tracker.trial_end(result, study.results)


def _front_writing(
    directory: Path, study: Study, config: RunConfig, place: Place, tracker: Tracker
) -> Callable[[Progress | None, bool], SearchRecord]:
    """What writes the front's files while the search runs and, told of no progress, at its end.

    With the importance of the knobs where it has `ended`: of thousands of results they take a
    minute, which who interrupts it does not have.
    """
    counting = training_costs(config, place.cache)
    space = data_space(config, place.cache).space
    untrained = cache(partial(kept_untrained, directory, space, counting))  # counted once, later

    def write(progress: Progress | None, ended: bool) -> SearchRecord:
        record = SearchRecord(
            results=tuple(study.results),
            objectives=config.objectives,
            title=config.name,
            classes=place.cache.targets.names,
            space=config.space.space(),
            starts=study.starts,
            baselines=study.baselines,
            compressed=study.compressed,
            untrained=untrained(),
            id=study.id,
            runs=tracker.runs,
            progress=progress,
        )
        try_write_front(directory, record, record.importances if ended else None)
        return record

    return write
