"""Networks that are trained again in the last share of a search."""

import json
from dataclasses import replace

import pytest

from nas.engine.report import Fidelity, Report
from nas.search.candidate_queue import CandidateQueue
from nas.search.repeats import FrontRepeats, choose_repeats
from nas.search.running import Running
from nas.search.search_budget import SearchBudget, Spent
from tests.nas.parts import make_session, open_study
from tests.nas.small_run import config
from trainers.errors import UserError


@pytest.fixture
def open_session(tmp_path):
    """Makes sessions of two slots; their clock is `session.now`."""

    def session(**search):
        run = config(search={"sampler": "random", **search}, objectives=["dice", "params"])
        study = open_study(tmp_path, run, lambda a: {"params": 1000, "macs": 10**6})
        budget = SearchBudget(run.search, run.train)
        repeats = FrontRepeats(study, budget, run.seed)
        queue = CandidateQueue(study, run.budget, None)
        made = make_session(study, run, tmp_path, 2, queue, repeats=repeats, clock=lambda: made.now)
        made.now = 0.0
        return made

    return session


def trains(session, trial_id, dice, seconds=0.0):
    """A whole training of what `session` starts; returns that."""
    candidate = session.start(trial_id)
    if candidate is not None:
        session.now += seconds
        session.report(trial_id, whole(dice))
        session.end(trial_id)
    return candidate


def whole(dice, **changes):
    values = {"fidelity": Fidelity(3), "loss": 1.0, "seconds": 1.0, "dice": dice, "done": True}
    return Report(**{**values, "curve": (dice,) * 3, **changes})


@pytest.mark.parametrize("budget", ["trials", "epochs"])
def test_the_last_share_of_the_trials_is_for_repeats(open_session, budget):
    session = open_session(trials=10, confirm=0.3, budget=budget)
    begun = []
    while candidate := trains(session, str(len(begun)), 0.5 + len(begun) / 100):
        begun.append(candidate)
    assert [one.seed is None for one in begun] == [True] * 7 + [False] * 3
    assert session.over
    assert session.done == 10
    assert session.fraction_spent == 1
    assert (session.summary().trials, session.summary().trained_again) == (7, 3)


def test_without_a_share_nobody_is_trained_again(open_session):
    session = open_session(trials=3, confirm=0)
    seeds = [trains(session, name, 0.5).seed for name in "abc"]
    assert seeds == [None] * 3
    assert session.over


def test_who_was_on_the_front_by_luck_leaves_it_and_the_next_one_is_trained_again(open_session):
    """All cost the same, so that the front is the best one."""
    session = open_session(trials=10, confirm=0.3)
    keys = [trains(session, str(n), 0.5 + n / 100).key for n in range(7)]
    best, second = keys[6], keys[5]
    assert trains(session, "7", 0.30).name == f"{best}-seed1"
    assert [member.key for member in session.members] == [second]
    assert trains(session, "8", 0.56).name == f"{second}-seed1"
    assert trains(session, "9", 0.55).name == f"{second}-seed2"
    (member,) = session.members
    assert member.trainings == (0.55, 0.56, 0.55)
    assert member.dice == pytest.approx((0.55 + 0.56 + 0.55) / 3)


def test_slots_are_filled_with_different_repeats_and_candidates_end_beside_them(open_session):
    session = open_session(trials=5, confirm=0.4)
    for name in "ab":
        trains(session, name, 0.5)
    last, first = session.start("c"), session.start("d")
    assert (last.seed, first.seed) == (None, 1)
    assert session.start("e") is None  # no slot
    session.report("c", whole(0.4))
    session.end("c")
    again = session.start("e")
    assert again.name != first.name


def test_hours_are_kept_for_repeats_and_none_is_begun_that_would_not_end(open_session):
    session = open_session(trials=99, hours=1, budget="hours", confirm=0.5)
    assert trains(session, "a", 0.5, seconds=1000.0).seed is None
    assert trains(session, "b", 0.6, seconds=1000.0).seed is None
    assert trains(session, "c", 0.6, seconds=1000.0).seed == 1  # half of the time is over
    assert session.start("d") is None  # of 600 seconds
    assert session.over


def test_an_interrupted_repeat_is_the_first_of_the_next_session(open_session):
    session = open_session(trials=4, confirm=0.5)
    for name in "ab":
        trains(session, name, 0.5)
    left = session.start("c")
    session.interrupt()
    session.report("c", whole(0.4, done=False))
    session.end("c")
    assert session.over
    session.requeue()
    assert open_session(trials=4, confirm=0.5).start("d").name == left.name


def test_a_repeat_whose_worker_dies_goes_on_and_at_last_is_no_training(open_session):
    session = open_session(trials=4, confirm=0.5, retries=1)
    for name in "ab":
        trains(session, name, 0.5)
    lost = session.start("c")
    session.on_worker_lost("c", counts=True)
    assert session.start("d") is lost
    session.on_worker_lost("d", counts=True)
    assert session.study.find(lost.key).trainings == ()
    assert session.study.find(lost.key).dice == 0.5
    assert session.study.trained_again == 1  # of the budget
    told = json.loads((session._files.directory / "confirm" / f"{lost.name}.json").read_text())
    assert (told["dice"], told["reason"]) == (None, "worker lost 2 times")


def test_a_search_that_is_opened_again_knows_its_repeats(open_session):
    session = open_session(trials=4, confirm=0.5)
    for name, dice in zip("abcd", (0.5, 0.6, 0.7, 0.8), strict=True):
        trains(session, name, dice)
    again = open_session(trials=4, confirm=0.5)
    assert again.over
    assert again.study.trained_again == 2
    assert [r.trainings for r in again.study.results] == [
        r.trainings for r in session.study.results
    ]


def test_repeats_that_end_in_another_order_are_read_back_as_they_were(open_session):
    session = open_session(trials=4, confirm=0.5)
    best = [trains(session, name, dice) for name, dice in (("a", 0.5), ("b", 0.6))][-1]
    assert {name: session.start(name).seed for name in "cd"} == {"c": 1, "d": 2}
    for name, dice in (("d", 0.7), ("c", 0.8)):
        session.report(name, whole(dice))
        session.end(name)
    assert session.study.find(best.key).trainings == (0.6, 0.8, 0.7)
    assert open_session(trials=4, confirm=0.5).study.results == session.study.results


def test_a_repeat_is_not_stopped_early(open_session):
    session = open_session(trials=4, confirm=0.5, early_stopping={"grace": 1, "reduction": 2})
    name = 0
    while (candidate := session.start(str(name))) and candidate.seed is None:
        if session.report(str(name), whole(0.5, fidelity=Fidelity(1), curve=(0.5,), done=False)):
            session.report(str(name), whole(0.5))
        session.end(str(name))
        name += 1
    bad = whole(0.01, fidelity=Fidelity(1), curve=(0.01,), done=False)
    assert session.report(str(name), bad)


def test_a_chosen_network_gets_what_it_lacks(open_session):
    session = open_session(trials=4, confirm=0.25)
    for name, dice in zip("abcd", (0.4, 0.5, 0.6, 0.7), strict=True):
        trains(session, name, dice)
    (member,) = session.members  # with a repeat of the search's
    chosen = choose_repeats(session.study, top=2, times=2, seed=0)
    wanted, nothing = [], Spent(0, 0, 0)
    while one := chosen.next(wanted, nothing):
        wanted.append(one)
    assert [one.name for one in wanted].count(f"{member.key}-seed2") == 1
    assert f"{member.key}-seed1" not in [one.name for one in wanted]
    assert len(wanted) == 3


@pytest.mark.parametrize(("budget", "share", "of_twelve"), [("trials", 0.0, 6), ("epochs", 0.3, 9)])
def test_repeats_after_a_search_are_none_of_its_trials(
    open_session, tmp_path, budget, share, of_twelve
):
    own = {"budget": budget, "confirm": share, "early_stopping": None}
    session = open_session(trials=6, **own)
    while trains(session, "a", 0.5 + session.done / 100):
        pass
    assert session.done == 6
    chosen = choose_repeats(session.study, top=2, times=3, seed=7)
    for one in chosen.wanted:
        replace(Running(one, 0.0), report=whole(0.5)).repeat().write(tmp_path)
    longer = open_session(trials=6, **own)
    told = longer.budget.progress_text(longer.done, longer.fraction_spent)
    assert (told, longer.over) == ("6/6 trials", True)
    longer = open_session(trials=12, **own)
    assert longer.done == of_twelve  # 5 networks and .3 x 12 repeats
    assert longer.fraction_spent == pytest.approx(of_twelve / 12)
    while trains(longer, "a", 0.5):
        pass
    told = longer.budget.progress_text(longer.done, longer.fraction_spent)
    assert (told, longer.fraction_spent) == ("12/12 trials", 1)


def test_a_chosen_repeat_that_was_lost_is_made_again_by_the_next_command(open_session, tmp_path):
    session = open_session(trials=1)
    while trains(session, "a", 0.5):
        pass
    nothing = Spent(0, 0, 0)
    chosen = choose_repeats(session.study, top=1, times=1, seed=0)
    lost = chosen.next([], nothing)
    repeat = replace(Running(lost, 0.0), report=whole(None, reason="worker lost 3 times")).repeat()
    repeat.write(tmp_path)
    session.study.add_repeat(repeat)
    assert chosen.next([], nothing) is None  # not in this session
    next_command = choose_repeats(open_session(trials=1).study, top=1, times=1, seed=0)
    assert next_command.next([], nothing).name == lost.name


def test_nothing_to_choose_from_is_told(open_session):
    with pytest.raises(UserError, match="no candidate that was trained to the end"):
        choose_repeats(open_session().study, 5, 3, 0)


def test_a_budget_of_repeats_alone_wants_no_candidate():
    run = config(search={"trials": 4, "confirm": 0.25})
    nothing = Spent(0, 0, 0)
    assert SearchBudget(run.search, run.train).wants_candidate(nothing)
    assert not SearchBudget(run.search, run.train, candidates=False).wants_candidate(nothing)
    spent = replace(nothing, trainings=2, epochs=6, repeats=1)
    assert not SearchBudget(run.search, run.train).wants_repeat(spent)  # that was the share


def test_a_candidate_takes_no_epochs_that_repeats_have_spent():
    run = config(search={"trials": 10, "budget": "epochs", "confirm": 0.15})  # 30 epochs
    budget = SearchBudget(run.search, run.train)
    for epochs, repeats, room in ((25, 0, True), (26, 0, False), (23, 2, True), (24, 2, False)):
        spent = Spent(trainings=9, epochs=epochs, seconds=0.0, repeats=repeats)
        assert budget.wants_candidate(spent) is room


def test_chosen_repeats_take_nothing_of_the_hours_and_tell_no_time_that_is_left():
    run = config(search={"budget": "hours", "hours": 4})
    minute = Spent(trainings=9, epochs=27, seconds=60.0)
    assert 0 < SearchBudget(run.search, run.train).fraction_spent(minute) < 1
    assert SearchBudget(run.search, run.train, candidates=False).fraction_spent(minute) == 1
