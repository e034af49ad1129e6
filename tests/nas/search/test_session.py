import io

import pytest
from rich.console import Console

from nas.cost.latency_probe import Failure
from nas.engine.report import Fidelity, Report
from nas.pareto.budget import Budget
from nas.search.callback import SearchCallback
from nas.search.candidate_queue import CandidateQueue
from nas.search.live_view import overview
from nas.search.session import MOST_FAILURES
from nas.search.time_account import TimeAccount
from nas.study.rejections import RejectionStreak
from search_spaces.hybrid import Hybrid
from search_spaces.space import to_params
from tests.nas.parts import make_session, open_study
from tests.nas.probers import SaysProber, latency
from tests.nas.small_run import config
from trainers.checkpoint import read_checkpoint, write_checkpoint


class Told(SearchCallback):
    """Keeps what it hears."""

    def __init__(self):
        self.messages, self.fronts = [], 0

    def on_message(self, text):
        self.messages.append(text)

    def on_front_change(self, session):
        self.fronts += 1


@pytest.fixture
def session(tmp_path):
    """A session of two slots whose clock is `session.now`; nothing runs but what a test says."""

    def session(prober=None, **search):
        objectives = ["dice", "params", *(["latency_ms"] if prober else [])]
        run = config(search={"sampler": "random", **search}, objectives=objectives)
        study = open_study(tmp_path, run, lambda a: {"params": 1000 * a.width, "macs": 10**6})
        queue, told = CandidateQueue(study, run.budget, prober), Told()
        made = make_session(study, run, tmp_path, 2, queue, [told], clock=lambda: made.now)
        made.now, made.told = 0.0, told
        return made

    return session


def report(epoch=3, **changes):
    values = {"fidelity": Fidelity(epoch), "loss": 1.0, "seconds": 10.0, "dice": 0.5}
    return Report(**{**values, "curve": (0.5,) * epoch, "done": epoch == 3, **changes})


def ends(run, name, epoch=3, **changes):
    """The last report of the trial of this name, and its end."""
    run.report(name, report(epoch, **changes))
    run.end(name)


def test_as_many_trials_run_as_there_are_slots_and_are_wanted(session):
    run = session(trials=3)
    assert [run.start(name) is not None for name in "abc"] == [True, True, False]
    ends(run, "a")
    assert run.start("c") is not None
    ends(run, "b")
    assert run.start("d") is None
    assert not run.over
    ends(run, "c")
    assert run.over
    assert run.done == 3


def stopping(**search):
    """One epoch, then one in two goes on."""
    return {"early_stopping": {"grace": 1, "reduction": 2}, **search}


def test_a_trial_that_does_worse_at_a_rung_is_stopped(session):
    run = session(**stopping(trials=3))
    good, bad = run.start("a"), run.start("b")
    assert run.report("a", report(1, dice=0.8, curve=(0.8,), done=False))
    costs = {name: 2 * value for name, value in good.costs.items()}
    bad.costs.update(costs)
    assert not run.report("b", report(1, dice=0.7, curve=(0.7,), done=False))
    run.end("b")
    result = run.study.find(bad.key)
    assert (result.state, result.reason) == ("stopped", "stopped after 1 of 3 epochs")
    assert (result.dice, result.curve, result.epochs) == (None, (0.7,), 1)
    assert run.members == []
    assert run.done == 1  # it counts among the trials
    summary = run.summary()
    assert (summary.trials, summary.stopped, summary.infeasible, summary.epochs) == (0, 1, 0, 1)


def test_of_a_stopped_trial_nothing_is_kept_and_of_a_complete_one_its_weights(session, tmp_path):
    run = session(**stopping(trials=4))
    good, bad = run.start("a"), run.start("b")
    bad.costs.update({name: 2 * value for name, value in good.costs.items()})
    files = [tmp_path / "checkpoints" / f"{candidate.key}.pt" for candidate in (good, bad)]
    for file in files:
        write_checkpoint(file, {"weights": {}, "training": {}})
    run.report("a", report(1, dice=0.8, curve=(0.8,), done=False))
    assert not run.report("b", report(1, dice=0.7, curve=(0.7,), done=False))
    run.end("b")
    ends(run, "a", dice=0.9)
    assert read_checkpoint(files[0]) == {"weights": {}}
    assert not files[1].exists()


def test_a_search_of_a_space_that_holds_no_more_ends(session):
    run = session(trials=9)
    run.study._patience = 3
    run.start("a")
    run.study._is_repeat = lambda trial, key: True
    assert run.start("b") is None
    assert "no other architecture" in run.notice
    assert not run.over
    ends(run, "a")
    assert run.over


def test_who_follows_is_told_when_the_front_changes(session):
    run = session(trials=3)
    for name, dice in (("a", 0.5), ("b", 0.1)):
        candidate = run.start(name)
        candidate.costs["params"] = 1000
        ends(run, name, dice=dice)
    assert run.told.fronts == 1


def test_an_interrupted_trial_is_stopped_at_its_next_report_and_kept(session):
    run = session(trials=2)
    left, done = run.start("a"), run.start("b")
    run.interrupt()
    assert not run.report("a", report(1, done=False))
    run.end("a")
    ends(run, "b")
    assert run.over
    assert [result.key for result in run.study.results] == [done.key]
    run.requeue()
    assert run.study.ask().key == left.key


def test_a_trial_beyond_its_hours_is_infeasible(session):
    run = session(trials=1, trial_hours=0.01)
    run.start("a")
    assert run.report("a", report(1, seconds=30.0, done=False))
    assert not run.report("a", report(2, seconds=7.0, done=False))
    run.end("a")
    (result,) = run.study.results
    assert result.state == "infeasible"
    assert "search.trial_hours is 0.01" in result.reason


def test_a_trial_beyond_its_hours_is_infeasible_also_after_a_restart(session):
    run = session(trials=1, trial_hours=0.01)
    run.start("a")
    assert run.report("a", report(1, seconds=3.0, earlier=30.0, done=False))
    assert not run.report("a", report(2, seconds=3.0, earlier=30.0, done=False))
    run.end("a")
    (result,) = run.study.results
    assert result.reason.startswith("took too long: 0.01 h for 2 epochs")


def test_what_goes_on_after_a_restart_took_the_seconds_of_all_its_sessions(session):
    run = session(trials=9)
    candidate = run.start("a")
    run.now = 12.0
    run.report("a", report(2, earlier=10.0, done=False))
    assert run.study.pace.seconds(candidate.costs) == 30.0  # 20 of two epochs, of three
    ends(run, "a", earlier=10.0)
    (result,) = run.study.results
    assert (result.train_seconds, result.worker_seconds) == (30.0, 22.0)
    summary = run.summary()  # of this session
    assert (summary.train_seconds, summary.worker_seconds) == (20.0, 12.0)


def test_a_worker_that_goes_on_within_a_session_adds_no_seconds_twice(session):
    run = session(trials=9)
    run.start("a")
    run.report("a", report(1, done=False))
    run.on_worker_lost("a", counts=False)
    run.start("b")
    run.report("b", report(2, earlier=10.0, done=False))
    ends(run, "b", earlier=10.0)
    (result,) = run.study.results
    assert result.train_seconds == 30.0


def hours(**search):
    return {"budget": "hours", "hours": 1.0, "confirm": 0.0, **search}


def trained(run, name, seconds=10.0):
    """The trial of this name, from its start to its end."""
    run.start(name)
    run.now += 3 * seconds
    for epoch in (1, 2, 3):
        run.report(name, report(epoch, seconds=seconds))
    run.end(name)


def test_what_cannot_end_within_the_hours_is_not_begun(session):
    run = session(**hours())
    run.start("long")
    trained(run, "a")  # in 30 seconds
    run.now = 3600 - 20.0
    assert run.start("b") is None
    assert "nothing more that is proposed can be trained" in run.told.messages[-1]
    ends(run, "long")
    assert run.over


def test_a_training_may_take_its_share(session):
    run = session(**hours())
    trained(run, "a")  # in 30 seconds
    run.study._costs = lambda a: {"params": 1000 * a.width, "macs": 31 * 10**6}
    assert run.start("b") is None
    assert run.study.pace.most == 2 * 3600 / 8 < 31 * 30


def test_what_was_to_be_tried_first_is_missed(session):
    run = session(**hours())
    trained(run, "a")
    run.study._costs = lambda a: {"params": 1000 * a.convs, "macs": 10**6 * 4 ** (2 * a.convs - 3)}
    slow = Hybrid(width=4, convs=3).canonical()
    run.study._enqueue(slow.key, to_params(slow))
    run.study.name_starts({slow.key: "ladder 5"})
    assert run.start("b").key != slow.key
    told = "ladder 5 is left out: it would train for about 32:00, and 15:00 are allowed"
    assert run.told.messages == [told]


def test_where_all_are_slow_the_share_grows(session):
    run = session(**hours(hours=0.1))
    trained(run, "a", seconds=60.0)  # 180 seconds of 360, twice
    assert run.start("b") is not None


def test_epochs_that_early_stopping_saves_buy_candidates(session):
    run = session(**stopping(trials=2, budget="epochs"))
    started = 0
    while not run.over:
        name = str(started)
        if run.start(name) is None:
            break
        started += 1
        better = 0.9 - started / 100  # each is worse than the one before
        if run.report(name, report(1, dice=better, curve=(better,), done=False)):
            run.report(name, report(3, dice=better, curve=(better,) * 3))
        run.end(name)
    assert run.study.epochs >= 6  # two whole trainings
    assert started > 2


def test_a_budget_of_epochs_holds_where_nobody_is_stopped_and_slots_are_many(session):
    run = session(**stopping(trials=4, budget="epochs", confirm=0.0))  # 12 epochs
    run.resize(64)

    def start():
        begun = []
        while candidate := run.start(f"{len(run.study.results)}-{len(run.running)}"):
            begun.append(candidate)
        return begun

    assert len(start()) == 4
    good, bad = list(run.running)[:2]
    good_costs, bad_costs = (run.running[name].candidate.costs for name in (good, bad))
    bad_costs.update({name: 2 * value for name, value in good_costs.items()})
    assert run.report(good, report(1, dice=0.8, curve=(0.8,), done=False))
    assert not run.report(bad, report(1, dice=0.7, curve=(0.7,), done=False))
    run.end(bad)
    assert len(start()) == 1  # of the two epochs that it left
    for name in list(run.running):
        ends(run, name)
    assert run.over
    assert run.study.epochs == 13


def test_an_infeasible_trial_is_replaced(session):
    run = session(trials=1)
    run.start("a")
    ends(run, "a", epoch=1, done=True, reason="diverged: the loss is nan", dice=None)
    assert not run.over
    assert run.start("b") is not None
    (result,) = run.study.results
    assert (result.state, result.reason, result.dice) == (
        "infeasible",
        "diverged: the loss is nan",
        None,
    )
    assert (result.epochs, result.curve) == (1, (0.5,))
    assert run.members == []


def test_a_lost_worker_is_infeasible_and_keeps_no_dice(session):
    run = session(trials=1, retries=2)
    for name in "abc":
        assert not run.over
        run.start(name)
        run.report(name, report(epoch=2))
        run.on_worker_lost(name, counts=True)
    (result,) = run.study.results
    assert (result.state, result.reason, result.dice) == ("infeasible", "worker lost 3 times", None)
    assert result.train_seconds == 30


def test_what_a_worker_raised_is_told_and_recorded(session):
    run = session(trials=1, retries=1)
    for name in "ab":
        run.start(name)
        run.on_worker_lost(name, counts=True, cause="KeyError: 'liver'")
    assert "its worker failed (KeyError: 'liver'): it goes on" in run.told.messages[0]
    (result,) = run.study.results
    assert result.reason == "worker lost 2 times: KeyError: 'liver'"


def test_a_hang_costs_one_attempt_and_the_last_one_is_told(session, tmp_path):
    run = session(trials=1, retries=1)
    trace = tmp_path / "checkpoints" / f"{run.start('a').key}.hang.txt"
    trace.parent.mkdir()
    trace.write_text("Timeout!")
    run.on_worker_lost("a", counts=True)
    assert "its worker hung: it goes on after epoch 0" in run.told.messages[0]
    assert not run.study.results
    assert trace.with_name(trace.name.replace(".hang", ".hung-before")).read_text() == "Timeout!"
    run.start("b")
    trace.write_text("Timeout!")
    run.on_worker_lost("b", counts=True)
    (result,) = run.study.results
    assert result.reason.startswith("hung: no training step ended for 30 min, see checkpoints/")


def test_the_last_worker_that_only_died_has_not_hung(session, tmp_path):
    run = session(trials=1, retries=1)
    trace = tmp_path / "checkpoints" / f"{run.start('a').key}.hang.txt"
    trace.parent.mkdir()
    trace.write_text("Timeout!")
    run.on_worker_lost("a", counts=True)
    run.start("b")
    trace.write_text("")  # as it is while a worker is watched
    run.on_worker_lost("b", counts=True)
    (result,) = run.study.results
    assert result.reason == "worker lost 2 times"


def test_what_was_lost_goes_on_before_anything_new_starts(session):
    run = session(trials=3, retries=0)
    lost = run.start("a")
    run.report("a", report(epoch=2))
    run.on_worker_lost("a", counts=False)
    assert run.fraction_spent > 0
    assert run.start("b") is lost
    ends(run, "b")
    (result,) = run.study.results
    assert (result.key, result.state, result.epochs) == (lost.key, "complete", 3)
    assert run.start("c") is not lost


def test_what_was_lost_waits_for_the_next_start_where_the_search_is_interrupted(session):
    run = session(trials=3)
    lost = run.start("a")
    run.on_worker_lost("a", counts=False)
    assert not run.over
    run.interrupt()
    assert run.over
    assert run.start("b") is None
    run.requeue()
    again = session(trials=3)
    assert again.start("a").key == lost.key


def test_a_search_where_everything_fails_gives_up(session):
    run = session(trials=100)
    for number in range(MOST_FAILURES):
        run.start(str(number))
        ends(run, str(number), epoch=0, done=True, loss=None, reason="out of memory: 1 GB")
    assert run.over
    assert "out of memory: 1 GB" in run.notice


def test_no_trial_starts_after_its_hours(session):
    run = session(trials=9, hours=1)
    run.start("a")
    run.now = 3600.0
    assert run.start("b") is None
    assert not run.over
    ends(run, "a")
    assert run.over


def test_no_trial_starts_after_its_hours_where_nothing_was_trained_for_long(session):
    """One ends after 45 minutes, and no network has a latency within the budget for 30 more."""
    run = session(trials=9, hours=1)
    run.start("a")
    run.now = 2700.0
    ends(run, "a")
    assert not run.over
    run.now = 4500.0
    assert run.start("b") is None
    assert run.over
    assert run.summary().wall_seconds == 2700.0


def test_the_hours_run_while_the_first_latency_is_measured(session):
    kept = []
    run = session(SaysProber(lambda architecture: latency(5.0)), trials=9, hours=1, confirm=0.0)
    run.time = TimeAccount(2, lambda: run.now, keep=kept.append)
    run.time.open()
    assert run.start("a") is None  # it is asked for, and being measured
    run.now = 61.0
    run.tick()
    assert kept == [61.0] and not run.time.begun
    run.now = 3600.0
    assert run.start("a") is None
    assert run.over and run.summary().wall_seconds == 0.0
    run.time.close()
    assert kept[-1] == 3600.0


def test_the_hours_of_a_search_are_those_of_all_its_sessions(session):
    kept = []
    run = session(trials=9, hours=1, confirm=0.0)
    run.time = TimeAccount(2, lambda: run.now, keep=kept.append)
    run.start("a")
    for now in (30.0, 61.0, 100.0, 3000.0):
        run.now = now
        run.tick()
    assert kept == [61.0, 3000.0]
    run.now = 3300.0
    run.time.close()
    assert kept[-1] == 3300.0
    again = session(trials=9, hours=1, confirm=0.0)
    again.time = TimeAccount(2, lambda: again.now, before=kept[-1])
    assert again.start("a") is not None
    again.now = 301.0
    assert again.start("b") is None
    spent = session(trials=9, hours=1, confirm=0.0)
    spent.time = TimeAccount(2, before=3600.0)
    assert spent.over


def test_the_share_of_training_counts_every_second_of_every_slot(session):
    """Two slots for 40 s; 10 s of training in one trial, 30 s in the other."""
    run = session(trials=2)
    run.start("a")
    run.start("b")
    run.now = 20.0
    ends(run, "a")
    for epoch in (1, 2, 3):
        run.report("b", report(epoch))
    run.now = 40.0
    run.end("b")
    run.now = 99.0
    summary = run.summary()
    assert (summary.slot_seconds, summary.worker_seconds, summary.train_seconds) == (80, 60, 40)
    assert summary.training_share == 0.5


def test_slots_count_for_as_long_as_they_were_there(session):
    """Two for 10 s, five for 20 s."""
    run = session(trials=1)
    run.start("a")
    run.now = 10.0
    run.resize(5)
    run.now = 30.0
    ends(run, "a")
    assert run.summary().slot_seconds == 2 * 10 + 5 * 20


def test_the_table_shows_what_runs_and_the_front(session):
    run = session(trials=4)
    done, running = run.start("a"), run.start("b")
    run.now = 75.0
    ends(run, "a", dice=0.8125)
    run.report("b", report(1))
    console = Console(file=io.StringIO(), width=120)
    console.print(overview(run, "test"))
    shown = console.file.getvalue()
    for text in (done.key, running.key, "1/4 trials", "0.8125", "1/3", "elapsed 1:15", "4 k"):
        assert text in shown


def test_the_next_candidate_is_measured_while_others_are_trained(session):
    prober = SaysProber(lambda architecture: latency(5.0))
    run = session(prober, trials=3)
    for name in "ab":
        assert run.start(name) is None  # asked for, and being measured
        assert run.start(name) is not None
    run.tick()
    run.tick()
    assert len(prober.sets) == 3
    assert run.start("c") is None  # no slot is free
    ends(run, "a")
    assert not run.over
    assert run.start("c").costs["latency_ms"] == 5.0
    run.tick()
    assert len(prober.sets) == 3  # and no more are wanted


def test_a_measured_candidate_that_comes_too_late_is_left_for_the_next_session(session):
    run = session(SaysProber(lambda architecture: latency(5.0)), trials=9, hours=1)
    run.start("a")
    run.start("a")
    run.tick()
    run.now = 3600.0
    assert run.start("b") is None
    ends(run, "a")
    assert run.over
    waiting = run._queue.pending.key
    run.requeue()
    run.study.pace.most = 60.0  # the next session has time again
    assert run.study.ask().key == waiting


def test_the_limit_that_lets_nothing_through_is_said(session):
    run = session(None, trials=1)
    run.study._budget = Budget(params=10)
    run.study.refusals = RejectionStreak(run.study._budget)
    assert run.start("a") is None
    assert "budget.params = 10 rules out 50 of 50" in run.told.messages[0]


def test_networks_that_cannot_be_measured_end_the_search(session):
    run = session(SaysProber(lambda architecture: Failure("latency: no such backend")), trials=1)
    while not run.over:
        run.start("a")
    assert "no such backend" in run.notice
    assert len(run.study.results) == MOST_FAILURES


def test_a_score_by_shared_weights_is_no_result(session):
    made = session(trials=1)
    candidate = made.start("a")
    score = Report(fidelity=Fidelity(3, shared=True), dice=0.9, curve=(0.9,), done=True)
    assert not made.report("a", score)
    made.end("a")
    result = made.study.find(candidate.key)
    assert (result.state, result.dice) == ("infeasible", None)
    assert "a score, and no result" in result.reason


@pytest.mark.parametrize("dice", [float("nan"), float("inf"), None])
def test_an_evaluation_that_ends_without_a_dice_is_no_result(session, dice):
    made = session(trials=1)
    candidate = made.start("a")
    assert not made.report("a", report(dice=dice))
    made.end("a")
    result = made.study.find(candidate.key)
    assert (result.state, result.reason) == ("infeasible", "its Dice is no number")
    assert session(trials=1).study.find(candidate.key) == result  # by the journal, too
