from hypothesis import given
from hypothesis import strategies as st

from tests.nas.results import flat_result
from tests.nas.rungs import (
    ALL,
    COST,
    DICE,
    costs,
    patient,
    report,
    scheduler,
)


def test_the_same_report_gets_the_same_answer():
    rung = scheduler(("dice",), reduction=2)
    assert report(rung, "a", (0.2,))
    assert not report(rung, "b", (0.1,))
    assert report(rung, "c", (0.3,)) and report(rung, "d", (0.4,))
    # Now there is room for two: neither the stopped one nor the one that went on is judged again.
    assert report(rung, "a", (0.2,))
    assert not report(rung, "b", (0.1,))


def test_a_training_begun_anew_does_not_rewrite_its_rungs():
    rung = scheduler(("dice",))
    assert report(rung, "a", (0.9,))
    assert rung.report("a", [0.0], {}) and report(rung, "a", (0.1,))
    assert not report(rung, "b", (0.5,))


def test_lower_rungs_are_filled_without_a_decision():
    rung = scheduler(("dice",), reduction=2)
    assert report(rung, "good", (0.9,))
    assert rung.report("resumed", [0.1, 0.1, 0.1], {})  # beyond the rung at 2: not judged there
    assert rung.report("resumed", [0.1] * 4, {})  # the first at the rung at 4
    assert not report(rung, "third", (0.5,))  # of three, with one place
    assert report(rung, "fourth", (0.6,))  # of four: would not go on if `resumed` were unknown


def test_a_validation_every_few_epochs_is_counted_in_epochs():
    search = scheduler(("dice",), epochs=20, every=4, grace=4, reduction=2)  # rungs at 4, 8, 16
    assert search.report("a", [0.5], {})
    assert not search.report("b", [0.4], {})
    assert search.report("a", [0.5, 0.7], {})
    assert search.report("c", [0.6], {})
    assert not search.report("c", [0.6, 0.6], {})
    assert search.report("a", [0.5, 0.7, 0.7], {})
    assert search.report("a", [0.5, 0.7, 0.7, 0.7], {})
    assert search.report("a", [0.5, 0.7, 0.7, 0.7, 0.0], {})  # the last epoch is no rung


def result(key, curve, row, state):
    return flat_result(key=key, state=state, curve=tuple(curve), epochs=len(curve), **costs(row))


CANDIDATE = st.tuples(st.lists(DICE, min_size=7, max_size=7), st.tuples(COST, COST))


@patient
@given(st.lists(CANDIDATE, min_size=1, max_size=14), st.integers(0, 14), st.integers(1, 2))
def test_a_restored_search_decides_as_the_uninterrupted_one(candidates, cut, brackets):
    def trained(search, number):
        curve, row = candidates[number]
        for epoch in range(1, 8):
            if not search.report(str(number), curve[:epoch], costs(row)):
                return result(str(number), curve[:epoch], row, "stopped")
        return result(str(number), curve, row, "complete")

    make = {"objectives": ALL[:3], "epochs": 7, "grace": 1, "brackets": brackets}
    whole, second = scheduler(**make), scheduler(**make)
    results = [trained(whole, number) for number in range(len(candidates))]
    second.restore(reversed(results[:cut]))
    assert [trained(second, n) for n in range(cut, len(results))] == results[cut:]
