import random

import pytest
from optuna.distributions import CategoricalDistribution

from nas.study.knob_importance import importances
from tests.nas.results import flat_result

OPTIONS = (4, 8, 16, 32)


def results(count, dice, **changes):
    """Networks with three knobs, of which one is asked for only beside `tokens`."""
    rng = random.Random(0)
    made = []
    for number in range(count):
        knobs = {"width": rng.choice(OPTIONS), "norm": rng.choice("abc"), "tokens": number % 2}
        if knobs["tokens"]:
            knobs["prune"] = rng.choice((0.0, 0.5, 0.9))
        values = {"dice": dice(knobs), "params": knobs["width"] * 100, **changes}
        values["dice"] = values["dice"] if values.get("state") != "infeasible" else None
        made.append(flat_result(number=number, key=str(number), architecture=knobs, **values))
    return made


def test_the_knob_that_decides_is_first_and_the_idle_ones_are_chance():
    [told] = importances(results(80, lambda knobs: knobs["width"] / 100), ["dice"], None)
    assert next(iter(told.shares)) == "width"
    assert sum(told.shares.values()) == pytest.approx(1)
    assert "width" in told.beyond_chance
    assert "norm" not in told.beyond_chance


def test_a_knob_that_is_not_always_asked_for_counts_where_it_is():
    def dice(knobs):
        return 0.9 if knobs.get("prune") == 0.5 else 0.5 + knobs["width"] / 1000

    [told] = importances(results(120, dice), ["dice"], None)
    assert "prune" in told.beyond_chance
    assert told.shares["prune"] > told.shares["norm"]


def test_a_smaller_cost_is_the_better_one_and_rejected_networks_count_for_costs():
    rejected = results(40, lambda knobs: 0.5, state="infeasible")
    told = importances(rejected, ["dice", "params"], None)
    assert [(one.objective, one.networks) for one in told] == [("params", 40)]
    assert next(iter(told[0].shares)) == "width"


def test_few_networks_tell_nothing():
    assert importances(results(9, lambda knobs: 0.5), ["dice"], None) == []


def test_without_a_knob_that_varies_there_is_nothing_to_tell():
    same = [
        flat_result(number=i, key=str(i), architecture={"width": 4}, dice=i / 20) for i in range(12)
    ]
    assert importances(same, ["dice"], None) == []
    assert importances([], ["dice"], None) == []


def test_the_same_results_tell_the_same():
    told = results(40, lambda knobs: knobs["width"] / 100)
    assert importances(told, ["dice"], None) == importances(told, ["dice"], None)


def test_no_two_distributions_are_compared_choice_by_choice(monkeypatch):
    monkeypatch.setattr(CategoricalDistribution, "__eq__", lambda *_: pytest.fail("compared"))
    [told] = importances(results(40, lambda knobs: knobs["width"] / 100), ["dice"], None)
    assert next(iter(told.shares)) == "width"
