"""Who is ahead where, by hand."""

import pytest

from nas.pareto.compare_fronts import Stretch, dominated, stretches
from tests.nas.results import flat_result


def members(*pairs):
    return [flat_result(key=f"{x}", dice=dice, params=x) for x, dice in pairs]


A = members((10, 0.70), (100, 0.80), (1000, 0.81))
B = members((20, 0.72), (200, 0.85))


def test_the_best_dice_within_each_cost_decides():
    found = stretches([A, B], "params")
    assert [(one.start, one.end, one.ahead) for one in found] == [
        (10, 20, 0),  # alone
        (20, 100, 1),  # 0.72 to 0.70
        (100, 200, 0),  # 0.80 to 0.72
        (200, None, 1),  # 0.85 to 0.80, then to 0.81
    ]
    assert found[0] == Stretch(10, 20, 0, None, None)
    assert [found[2].least, found[2].most] == pytest.approx([0.08, 0.08])
    assert [found[3].least, found[3].most] == pytest.approx([0.04, 0.05])


def test_what_another_seed_makes_is_no_lead():
    (one,) = stretches([members((10, 0.800)), members((10, 0.802))], "params")
    assert (one.start, one.end, one.ahead) == (10, None, None)
    assert one.least == pytest.approx(0.002)
    assert stretches([members((10, 0.800)), members((10, 0.804))], "params")[0].ahead == 1


def test_of_three_the_lead_is_over_the_second_best():
    (one,) = stretches([members((10, 0.6)), members((10, 0.9)), members((10, 0.8))], "params")
    assert (one.ahead, one.most) == (1, pytest.approx(0.1))


def test_a_front_without_members_or_with_an_unknown_cost_has_no_part():
    assert stretches([[], []], "params") == []
    assert [one.ahead for one in stretches([A, []], "params")] == [0]
    assert stretches([A, B], "latency_ms") == []


def test_members_are_counted_that_a_rival_dominates():
    names = ("dice", "params")
    assert dominated(A, B, names) == 1  # (1000, 0.81) by (200, 0.85)
    assert dominated(B, A, names) == 0
    assert dominated(A, A, names) == 0  # equal is not better
    assert dominated(A, [], names) == 0
