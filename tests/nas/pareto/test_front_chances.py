import numpy as np
import pytest

from nas.pareto.front_chances import by_rank, front_chances
from tests.nas.results import flat_result

OBJECTIVES = ("dice", "params")


def result(key, params, *trainings, **changes):
    told = {"dice": np.mean(trainings), "trainings": trainings if len(trainings) > 1 else ()}
    return flat_result(key=key, params=params, **{**told, **changes})


SMALL, LARGE = result("small", 100, 0.5), result("large", 900, 0.9)
NEAR, FAR = result("near", 1000, 0.88), result("far", 950, 0.3)
STOPPED = result("stopped", 50, 0.5, dice=None, state="stopped")


def test_the_front_comes_first_then_who_is_nearest():
    found = [r.key for r in by_rank([FAR, NEAR, STOPPED, SMALL, LARGE], OBJECTIVES)]
    assert found == ["large", "small", "near", "far"]


def test_without_repeats_there_are_no_chances():
    assert front_chances([SMALL, LARGE, NEAR, FAR], OBJECTIVES) == {}


def test_who_is_far_better_is_sure_and_who_is_far_worse_is_out():
    """Noise of .01; the next one that costs no more is 40 times as far away."""
    good, bad = result("good", 100, 0.90, 0.91, 0.90), result("bad", 200, 0.50, 0.51, 0.50)
    found = front_chances([good, bad, result("other", 150, 0.45)], OBJECTIVES)
    assert found["good"] == pytest.approx(1)  # nothing costs less
    assert found["bad"] < 0.01
    better = result("better", 300, 0.97, 0.97, 0.96)
    assert front_chances([good, bad, better], OBJECTIVES)["better"] > 0.9


def test_two_that_cost_the_same_and_did_the_same_have_even_chances():
    twins = [result(key, 100, 0.80, 0.82) for key in "ab"]
    found = front_chances([*twins, result("c", 50, 0.6)], OBJECTIVES)
    assert found["a"] == pytest.approx(found["b"]) == pytest.approx(0.5, abs=0.02)


def test_one_repeat_of_one_network_is_enough_to_tell_the_noise_of_all():
    quiet = [result("a", 100, 0.80, 0.801), result("b", 100, 0.82), result("c", 100, 0.7)]
    loud = [result("a", 100, 0.80, 0.86), result("b", 100, 0.82), result("c", 100, 0.7)]
    assert front_chances(quiet, OBJECTIVES)["b"] > front_chances(loud, OBJECTIVES)["b"] + 0.1


def test_a_lucky_first_training_does_not_make_a_member():
    """All are alike but one whose first training was high, and its repeats were not."""
    alike = [result(f"n{i}", 100 * 1.2**i, 0.80 + 0.002 * (i % 5)) for i in range(12)]
    lucky = result("lucky", 900, 0.86, 0.801, 0.802)
    known = front_chances([*alike, lucky], OBJECTIVES)["lucky"]
    honest = result("lucky", 900, 0.86, 0.861, 0.859)
    assert known < 0.3 < 0.8 < front_chances([*alike, honest], OBJECTIVES)["lucky"]


def test_one_that_failed_once_does_not_make_all_others_doubtful():
    pairs = [result(f"n{i}", 100 + i, 0.70 + 0.02 * i, 0.701 + 0.02 * i) for i in range(6)]
    sure = front_chances(pairs, OBJECTIVES)["n5"]
    failed = result("failed", 90, 0.5, 0.0)
    assert front_chances([*pairs, failed], OBJECTIVES)["n5"] > sure - 0.15


def test_nobody_that_costs_more_takes_a_place():
    found = front_chances([result("a", 100, 0.1, 0.2), result("dear", 101, 0.99)], OBJECTIVES)
    assert found["a"] == pytest.approx(1)


def test_the_chance_is_what_drawing_from_the_model_gives():
    """Networks of one cost, normal parameters in the model's own words, drawn and observed: of
    those that are said to be on the front with some chance, that share is."""
    generator = np.random.default_rng(0)
    said, true = [], []
    for _ in range(60):
        places = 0.8 + 0.03 * generator.standard_t(2, 8)
        seen = places[:, None] + 0.01 * generator.standard_t(2, (8, 3))
        seen = np.clip(seen, 0, 1)
        drawn = [result(str(i), 100, *seen[i, : 1 + 2 * (i % 2)]) for i in range(8)]
        found = front_chances(drawn, OBJECTIVES)
        said += [found[str(i)] for i in range(8)]
        true += [places[i] == places.max() for i in range(8)]
    said, true = np.array(said), np.array(true)
    assert np.mean((said - true) ** 2) < 0.06  # saying 1/8 of each gives .11
    assert said.mean() == pytest.approx(1 / 8, abs=0.02)
    likely = (said > 0.3) & (said < 0.9)
    assert true[likely].mean() == pytest.approx(said[likely].mean(), abs=0.12)
