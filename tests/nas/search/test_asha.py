import itertools
import math

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from nas.config.early_stopping import EarlyStopping
from nas.search.asha import Scheduler
from tests.nas.rungs import (
    dominates,
    objectives_of,
    patient,
    report,
    rungs,
    scheduler,
    train,
)
from trainers.errors import UserError


@patient
@given(rungs(), st.integers(2, 4))
def test_the_best_dice_that_nothing_dominates_is_never_stopped(rows, reduction):
    for last in range(len(rows)):
        others = rows[:last] + rows[last + 1 :]
        rung = scheduler(objectives_of(rows), reduction=reduction)
        for number, row in enumerate(others):
            report(rung, str(number), row)
        goes_on = report(rung, "last", rows[last])
        best = rows[last][0] == max(row[0] for row in rows)
        if best and not any(dominates(other, rows[last]) for other in others):
            assert goes_on


@patient
@given(rungs(), st.integers(2, 4), st.data())
def test_one_that_dominates_all_others_is_never_stopped(rows, reduction, data):
    place = data.draw(st.integers(0, len(rows)))
    winner = (0.8 + 0.1, *[0.5] * (len(rows[0]) - 1))
    rung = scheduler(objectives_of(rows), reduction=reduction)
    for number, row in enumerate(rows[:place]):
        report(rung, str(number), row)
    assert report(rung, "winner", winner)


@patient
@given(rungs(), st.randoms(use_true_random=False))
def test_a_decision_depends_on_who_came_before_and_not_on_their_order(rows, random):
    answers = []
    for order in (rows[:-1], random.sample(rows[:-1], len(rows) - 1)):
        rung = scheduler(objectives_of(rows))
        for number, row in enumerate(order):
            report(rung, str(number), row)
        answers.append(report(rung, "last", rows[-1]))
    assert answers[0] == answers[1]


@patient
@given(rungs(min_size=2))
def test_the_last_of_equal_candidates_goes_on_where_the_one_before_it_would(rows):
    """Equal ones share a place: with a twin beside it, nobody has less room."""
    alone, twins = (scheduler(objectives_of(rows)) for _ in range(2))
    for number, row in enumerate(rows[:-1]):
        report(alone, str(number), row)
        report(twins, str(number), row)
    first = report(alone, "last", rows[-1])
    assert report(twins, "twin", rows[-1]) == first
    assert report(twins, "last", rows[-1]) >= first


EVENTS = st.lists(
    st.tuples(st.integers(0, 7), st.sampled_from([0.1, 0.2, 0.3, 0.4, math.nan])), max_size=80
)


@patient
@given(EVENTS, st.integers(1, 2), st.integers(2, 4))
def test_with_dice_alone_it_is_optunas_successive_halving(events, grace, reduction):
    """Reports of eight interleaved candidates, decision by decision."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    pruner = optuna.pruners.SuccessiveHalvingPruner(grace, reduction)
    study = optuna.create_study(direction="maximize", pruner=pruner)
    ours = scheduler(("dice",), epochs=100, grace=grace, reduction=reduction)
    trials = [study.ask() for _ in range(8)]
    curves = [[] for _ in range(8)]
    stopped = set()
    for number, dice in events:
        if number in stopped:
            continue
        curves[number].append(dice)
        trials[number].report(dice, len(curves[number]))
        pruned = trials[number].should_prune()
        assert ours.report(str(number), curves[number], {}) is not pruned
        if pruned:
            stopped.add(number)


@patient
@given(st.integers(1, 3), st.integers(2, 4), st.integers(1, 3), st.integers(1, 3))
def test_brackets_start_later_by_the_reduction_at_epochs_with_a_validation(
    grace, reduction, brackets, every
):
    config = EarlyStopping(grace=grace, reduction=reduction, brackets=brackets)
    rungs = config.rungs(train(200, every))
    for bracket, epochs in enumerate(rungs):
        first = grace * reduction**bracket
        assert first <= epochs[0] < first + every
        assert all(epoch % every == 0 and epoch < 200 for epoch in epochs)
        assert list(epochs) == sorted(set(epochs))


@patient
@given(st.text("0123456789abcdef"), st.integers(1, 3))
def test_a_key_has_its_bracket_in_every_session(key, brackets):
    one, other = (scheduler(brackets=brackets, grace=1) for _ in range(2))
    report(other, "another", (0.5, 1, 1, 1, 1))
    assert one.bracket(key) == other.bracket(key)
    assert 0 <= one.bracket(key) < brackets


def test_every_bracket_gets_its_share_and_compares_among_itself():
    search = scheduler(("dice", "params"), grace=2, reduction=2, brackets=2)
    keys = [f"{number:x}" for number in range(40)]
    early = [key for key in keys if search.bracket(key) == 0]
    late = [key for key in keys if search.bracket(key) == 1]
    assert min(len(early), len(late)) > 10
    assert search.report(early[0], [0.9, 0.9], {"params": 1})
    assert search.report(late[0], [0.1, 0.1], {"params": 2})  # no rung of its bracket
    assert not search.report(early[1], [0.1, 0.1], {"params": 2})
    assert search.report(late[1], [0.1] * 4, {"params": 2})  # the first of its bracket


def test_rungs_by_hand():
    def at(epochs, every=1, **config):
        return EarlyStopping(**config).rungs(train(epochs, every))

    assert at(27) == [(1, 3, 9)]
    assert at(16) == [(1, 3, 9)]
    assert at(100) == [(4, 12, 36)]
    assert at(16, grace=1, reduction=4, brackets=2) == [(1, 4), (4,)]
    assert at(30, every=5, grace=2) == [(5, 10, 20)]  # 2, 6, 18, put off
    assert at(30, every=20, grace=1) == [(20,)]  # 1, 3, 9 are all put off to 20
    assert at(1) == [()]  # too short: nothing to save


@pytest.mark.parametrize(
    ("epochs", "every", "config"),
    [(4, 1, {"grace": 4}), (16, 16, {"grace": 1}), (16, 1, {"grace": 2, "brackets": 3})],
)
def test_a_bracket_without_a_rung_is_refused(epochs, every, config):
    with pytest.raises(UserError, match=r"early_stopping.*grace"):
        scheduler(epochs=epochs, every=every, **config)


@pytest.mark.parametrize("config", [{"reduction": 1}, {"grace": 0}, {"brackets": 0}])
def test_nonsense_is_refused(config):
    with pytest.raises(ValidationError, match=next(iter(config))):
        EarlyStopping(**config)


@pytest.mark.parametrize(
    ("objectives", "message"),
    [(("params",), "expected dice among them"), (("dice", "hd95"), "objective 'hd95' is unknown")],
)
def test_objectives_without_dice_or_unknown_are_refused(objectives, message):
    with pytest.raises(ValueError, match=message):
        scheduler(objectives)


@patient
@given(rungs(), st.integers(2, 4))
def test_only_behind_as_many_better_ones_as_there_is_room_for_is_one_stopped(rows, reduction):
    """By the definition of a rank: the number of fronts to peel off before."""
    rung = scheduler(objectives_of(rows), reduction=reduction)
    goes_on = [report(rung, str(number), row) for number, row in enumerate(rows)][-1]
    left, before = list(rows), 0
    while any(dominates(other, rows[-1]) for other in left):
        front = [row for row in left if not any(dominates(other, row) for other in left)]
        before += len(front)
        left = [row for row in left if row not in front]
    assert goes_on == (before < max(1, len(rows) // reduction))


def test_ranks_are_places_and_no_sorting_indices():
    """Worst first, best last: an argsort read as ranks stops the best of such a sequence."""
    for order in itertools.permutations(range(4)):
        rung = scheduler(("dice", "params"), reduction=4)
        rows = [(0.2 * (place + 1), 10 - place) for place in order]
        answers = [report(rung, str(place), row) for place, row in zip(order, rows, strict=True)]
        # One place for four: whoever is the best so far goes on, and nobody else.
        so_far = [place == max(order[: i + 1]) for i, place in enumerate(order)]
        assert answers == so_far


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_never_goes_on_and_does_not_count(value):
    rung = scheduler(("dice", "params"), reduction=2)
    assert not rung.report("alone", [0.1, value], {"params": 1})
    assert not rung.report("cost", [0.1, 0.9], {"params": value})
    assert not rung.report("none", [0.1, 0.9], {"params": None})
    assert not rung.report("missing", [0.1, 0.9], {})
    assert report(rung, "good", (0.5, 5))
    assert not report(rung, "second", (0.4, 6))  # two count, so that there is one place


def test_only_the_value_at_the_rung_counts():
    rung = scheduler(("dice",))
    assert rung.report("a", [math.nan], {}) and rung.report("a", [math.nan, 0.5], {})
    assert rung.report("b", [0.9], {}) and not rung.report("b", [0.9, 0.4], {})


@pytest.mark.parametrize(("dice", "params", "goes_on"), [(0.9, 10, True), (0.1, 50, False)])
def test_who_waits_for_a_device_is_compared_by_what_is_known(dice, params, goes_on):
    rung = scheduler(("dice", "params", "latency_ms@clinic"), reduction=2)
    for number, reached in enumerate((0.5, 0.6, 0.7)):
        costs = {"params": 20, "latency_ms@clinic": 5.0}
        rung.report(str(number), [0.0, reached], costs)
    assert rung.report("waits", [0.0, dice], {"params": params}) is goes_on


@pytest.mark.parametrize("every", [3, 5])
def test_who_validates_at_its_own_epochs_is_judged_by_what_it_told(every):
    """The scheduler expects a Dice after every epoch."""
    rung = Scheduler(EarlyStopping(grace=3), train(epochs=18), ("dice", "params"))

    def told(key, levels):
        answers = []
        for count in range(1, len(levels) + 1):
            answers.append(rung.report(key, every * count, levels[:count], {"params": 5.0}))
        return answers

    best = [0.5 + number / 100 for number in range(18 // every)]
    assert all(told("good", best))
    worse = [dice - 0.4 for dice in best]
    assert told("bad", worse).index(False) == (0 if every == 3 else 1)  # at 3, and at 10 after 9


def test_no_dice_yet_is_no_reason_to_stop():
    rung = Scheduler(EarlyStopping(grace=3), train(epochs=18), ("dice", "params"))
    assert rung.report("a", 3, [], {"params": 5.0})
    assert rung.report("b", 3, [0.1], {"params": 5.0})
