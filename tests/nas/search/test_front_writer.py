"""When the front's files are written while a search runs."""

import io
from types import SimpleNamespace

import pytest
from rich.console import Console

from nas.engine.report import Fidelity, Report
from nas.search import follow_ups
from nas.search.candidate_queue import CandidateQueue
from nas.search.follow_ups import FrontWriter
from nas.search.live_view import overview
from nas.search.running import Running
from nas.search.search_budget import SearchBudget
from nas.study.candidate import Candidate
from search_spaces.hybrid import Hybrid
from tests.nas.parts import make_session, open_study
from tests.nas.small_run import config


@pytest.fixture
def clock(monkeypatch):
    """A clock that a test sets."""
    now = SimpleNamespace(seconds=1000.0)
    told = SimpleNamespace(monotonic=lambda: now.seconds, time=lambda: 5000.0)
    monkeypatch.setattr(follow_ups, "time", told)
    return now


def test_the_page_follows_what_is_no_front_at_intervals(tmp_path, clock):
    written = []
    run = config(search={"sampler": "random", "trials": 3}, objectives=["dice", "params"])
    study = open_study(tmp_path, run, lambda a: {"params": 1000, "macs": 10**6})
    writer = FrontWriter(written.append)
    queue = CandidateQueue(study, run.budget, None)
    session = make_session(study, run, tmp_path, 2, queue, [writer])
    writer.on_tick(session)
    assert written == []  # nothing happened
    candidate = session.start("a")
    session.report("a", Report(fidelity=Fidelity(1), loss=1.0, dice=0.4, curve=(0.4,)))
    writer.on_tick(session)
    (first,) = written
    assert first.written == 5000.0
    (way,) = first.running
    assert (way.name, way.epoch, way.epochs, way.dice) == (candidate.key, 1, 3, 0.4)
    session.report("a", Report(fidelity=Fidelity(2), loss=1.0, dice=0.5, curve=(0.4, 0.5)))
    writer.on_tick(session)
    assert len(written) == 1  # not again so soon
    clock.seconds += follow_ups.PAGE_SECONDS
    writer.on_tick(session)
    writer.on_tick(session)
    assert [one.running[0].epoch for one in written] == [1, 2]
    done = Report(fidelity=Fidelity(3), loss=1.0, dice=0.6, curve=(0.4, 0.5, 0.6), done=True)
    session.report("a", done)
    session.end("a")  # the front changes: at once
    assert len(written) == 3
    assert not written[-1].running
    writer._took = 2 * follow_ups.PAGE_SECONDS / follow_ups.PAUSE  # as of thousands of networks
    writer.on_front_change(session)
    writer.on_tick(session)
    assert len(written) == 3  # not so soon again
    clock.seconds += follow_ups.PAGE_SECONDS
    writer.on_tick(session)
    writer.on_tick(session)
    assert len(written) == 4
    assert 0 < written[-1].fraction <= 1


def test_a_baseline_beside_candidates_that_are_fine_tuned_has_its_own_epochs(tmp_path):
    run = config(
        train={"patch": [24, 24, 24], "epochs": 12},
        search={"strategy": "supernet", "supernet": {"fine_tune": 0.33}},
        objectives=["dice", "params"],
    )
    trained = run.of_candidates()
    budget = SearchBudget(trained.search, trained.train, baseline_epochs=run.train.epochs)
    running = {
        name: Running(
            Candidate(0, Hybrid(), baseline=name), 0.0, report=Report(fidelity=Fidelity(epoch))
        )
        for name, epoch in (("", 3), ("unet-s", 8))
    }
    study = open_study(tmp_path, config(), dict)
    time = SimpleNamespace(elapsed=0.0, spent=0.0)
    session = SimpleNamespace(
        budget=budget, running=running, fraction_spent=0.5, study=study, members=[], time=time,
        done=0, fraction_before=0.0,
    )  # fmt: skip
    written = []
    FrontWriter(written.append).on_front_change(session)
    assert [(way.epoch, way.epochs) for way in written[0].running] == [(3, 4), (8, 12)]
    console = Console(file=io.StringIO(), width=120)
    console.print(overview(session, "test"))
    shown = console.file.getvalue()
    assert "3/4" in shown and "8/12" in shown
