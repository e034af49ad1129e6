"""What is non-dominated by its cost alone counts for nothing."""

import numpy as np
import pytest

from nas.pareto.front import front
from nas.pareto.hypervolume import hypervolume
from nas.pareto.pick import pick
from nas.pareto.reference import above_reference, dice_reference
from tests.nas.results import flat_result

OBJECTIVES = ("dice", "params")


def result(key, dice, params, state="complete"):
    return flat_result(key=key, state=state, dice=dice, params=params, latency_ms=params)


GOOD = [result("large", 0.80, 90_000), result("small", 0.73, 9_000)]
TINY = result("tiny", 0.21, 500)


def test_a_tenth_below_the_best_is_where_it_ends():
    assert dice_reference([*GOOD, TINY]) == pytest.approx(0.72)
    stopped = result("stopped", None, 100, "stopped")
    assert [r.key for r in above_reference([*GOOD, TINY, stopped])] == ["large", "small"]
    assert dice_reference([]) == 0
    assert above_reference([]) == []


def test_it_takes_no_part_in_the_hypervolume():
    assert hypervolume([*GOOD, TINY], OBJECTIVES) == hypervolume(GOOD, OBJECTIVES)
    assert hypervolume([TINY], OBJECTIVES) > 0  # the best there is


def test_no_pick_means_it_but_its_key():
    members = front([*GOOD, TINY], (*OBJECTIVES, "latency_ms"))
    assert len(members) == 3
    for name in ("smallest", "fastest", "knee"):
        assert pick(members, name, OBJECTIVES).key in ("small", "large")
    assert pick(members, "smallest", OBJECTIVES).key == "small"
    assert pick(members, "tiny", OBJECTIVES) is TINY


def test_an_unknown_dice_is_below():
    assert above_reference([result("nan", np.nan, 1), *GOOD])[0].key == "large"
