from nas.pareto.beside_baselines import baseline_verdict
from tests.nas.results import flat_result

OBJECTIVES = ("dice", "params", "macs")


def network(dice, params, macs=100, baseline=""):
    key = f"{dice}-{params}-{macs}"
    values = {"dice": dice, "params": params, "macs": macs, "baseline": baseline}
    return flat_result(key=key, **values)


FRONT = [network(0.80, 1000), network(0.85, 5000)]


def verdict(*baselines, members=FRONT):
    return baseline_verdict(members, baselines, OBJECTIVES)


def test_a_front_is_better_where_a_member_dominates_every_baseline():
    found = verdict(network(0.79, 1500, baseline="a"), network(0.85, 5001, baseline="b"))
    assert (
        found
        == "The front is better than every baseline at its cost: a (Dice 0.7900), b (Dice 0.8500)."
    )


def test_a_baseline_that_no_member_dominates_is_the_better_one():
    told = "The baseline a (Dice 0.8100) is better than every network found at its cost."
    assert verdict(network(0.81, 1500, baseline="a")) == told
    # A higher Dice at more MACs does not count: each cost among the objectives does.
    assert verdict(network(0.81, 9000, macs=99, baseline="a")) == told


def test_each_baseline_is_told_of():
    found = verdict(
        *(network(dice, 1500, baseline=name) for name, dice in (("a", 0.9), ("b", 0.7)))
    )
    assert found == (
        "The baseline a (Dice 0.9000) is better than every network found at its cost; "
        "the front is better than b (Dice 0.7000) at no more cost."
    )
    found = verdict(network(0.9, 1, baseline="a"), network(0.7, 2, baseline="b"))
    assert found == (
        "The baselines a (Dice 0.9000), b (Dice 0.7000) are better than every network found at "
        "their cost."
    )


def test_what_is_not_known_compares_nothing():
    waiting = network(0.1, 10**6, macs=float("nan"), baseline="a")
    assert verdict(waiting) == ""
    assert verdict(network(0.79, 1500, baseline="b"), waiting) == (
        "The front is better than every baseline at its cost: b (Dice 0.7900); "
        "not compared while a cost is not known: a (Dice 0.1000)."
    )
    assert verdict(network(0.9, 1, baseline="a"), members=[]) == ""


def test_without_baselines_there_is_nothing_to_say():
    assert verdict() == ""
