from pathlib import Path

import pytest

from nas.cost.latency_probe import Failure, Trained
from nas.search.remeasure_front import rank_changes, remeasure_front
from nas.search.trained_networks import TrainedNetworks
from tests.nas.parts import open_study
from tests.nas.probers import SaysProber, latency
from tests.nas.results import flat_result
from tests.nas.small_run import plain_run

OBJECTIVES = ("dice", "latency_ms")


@pytest.fixture
def study(tmp_path):
    """Complete trials of the (Dice, latency) given, by their keys in that order."""

    def study(*outcomes, **budget):
        run = plain_run(objectives=OBJECTIVES, search={"sampler": "random"}, budget=budget)
        made = open_study(tmp_path, run, lambda a: {"params": a.width})
        keys = []
        for dice, p50 in outcomes:
            candidate = made.ask().with_latency(latency(p50))
            made.tell(candidate.result(state="complete", dice=dice))
            keys.append(candidate.key)
        return made, keys, run.space

    return study


def again(study, space, says, directory=None):
    prober, said = SaysProber(says), []
    trained = (
        Known()
        if directory is None
        else TrainedNetworks(directory, Path("windows.npy"), Path("window.npy"))
    )
    revised = remeasure_front(study, prober, trained, said.append)
    return prober, revised, said


class Known:
    """Every network has its weights."""

    def of(self, results):
        return Trained([Path(result.key) for result in results], Path("windows.npy"))


def test_the_members_are_measured_together_and_their_latencies_replaced(study):
    made, keys, space = study((0.8, 10.0), (0.9, 20.0), (0.7, 30.0))
    second = dict(zip(keys, (11.0, 19.0, 0.0), strict=True))
    prober, revised, said = again(made, space, lambda a: latency(second[a.key]))
    assert [{a.key for a in batch} for batch in prober.sets] == [set(keys[:2])]
    assert {r.key: r.costs["latency_ms"] for r in revised} == {keys[0]: 11.0, keys[1]: 19.0}
    assert [r.costs["latency_ms"] for r in made.results] == [11.0, 19.0, 30.0]
    assert len(said) == 1


def test_they_have_their_trained_weights_but_where_these_are_gone(study, tmp_path):
    made, keys, space = study((0.8, 10.0), (0.9, 20.0))
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / f"{keys[0]}.pt").touch()
    prober, revised, said = again(made, space, lambda a: latency(5.0), tmp_path)
    [trained], [asked] = prober.trained, prober.sets
    weights = dict(zip([a.key for a in asked], trained.weights, strict=True))
    assert weights == {keys[0]: tmp_path / "checkpoints" / f"{keys[0]}.pt", keys[1]: None}
    assert f"{keys[1]} is measured with drawn weights: its own are gone" in said
    assert len(revised) == 2


def test_what_comes_to_the_front_by_that_is_measured_as_well(study):
    """The third is dominated by the first, until that one turns out slower."""
    made, keys, space = study((0.8, 10.0), (0.9, 20.0), (0.7, 12.0))
    second = dict(zip(keys, (15.0, 20.0, 13.0), strict=True))
    prober, _, said = again(made, space, lambda a: latency(second[a.key]))
    assert [len(batch) for batch in prober.sets] == [2, 3]
    assert said[-1] == f"{keys[2]} joins the front"
    assert [r.costs["latency_ms"] for r in made.results] == [15.0, 20.0, 13.0]


def test_a_change_of_rank_is_said(study):
    made, keys, space = study((0.8, 10.0), (0.9, 20.0))
    second = dict(zip(keys, (22.0, 20.0), strict=True))
    _, _, said = again(made, space, lambda a: latency(second[a.key]))
    assert f"{keys[0]} was number 1 by latency (10 ms) and is number 2 (22 ms)" in said


def test_ranks_that_stay_are_not_said():
    def result(key, ms):
        return flat_result(key=key, latency_ms=ms)

    before = [result("a", 1.0), result("b", 2.0)]
    assert list(rank_changes(before, [result("a", 1.5), result("b", 1.6)])) == []


def test_who_had_no_latency_before_had_no_rank():
    def result(key, **costs):
        return flat_result(key=key, **costs)

    before = [result("a"), result("b", latency_ms=8.0)]
    assert list(rank_changes(before, [result("a", latency_ms=9.0), before[1]])) == []


def test_a_member_that_is_over_the_budget_now_leaves(study):
    made, keys, space = study((0.8, 10.0), (0.9, 20.0), latency_ms=21)
    second = dict(zip(keys, (10.0, 22.0), strict=True))
    _, _, said = again(made, space, lambda a: latency(second[a.key]))
    assert [r.state for r in made.results] == ["complete", "infeasible"]
    assert said[-1] == f"{keys[1]} leaves the front"


def test_a_member_that_cannot_be_measured_keeps_its_latency(study):
    made, keys, space = study((0.8, 10.0), (0.9, 20.0))
    _, revised, said = again(
        made, space, lambda a: Failure("timed out") if a.key == keys[0] else latency(21.0)
    )
    assert [r.costs["latency_ms"] for r in made.results] == [10.0, 21.0]
    assert {r.key for r in revised} == {keys[1]}
    assert f"{keys[0]} keeps its first latency: timed out" in said


def test_a_member_that_cannot_be_measured_is_remembered(study):
    """It is asked again once there is a newcomer, beside which all are measured anew."""
    made, keys, space = study((0.8, 10.0), (0.9, 20.0))

    def says(architecture):
        return Failure("timed out") if architecture.key == keys[0] else latency(21.0)

    prober, _, _ = again(made, space, says)
    assert [len(batch) for batch in prober.sets] == [2]
    prober, _, said = again(made, space, says)
    assert (prober.sets, said) == ([], [])
    newcomer = made.ask().with_latency(latency(30.0))
    made.tell(newcomer.result(state="complete", dice=0.95))
    prober, _, _ = again(made, space, says)
    assert [{a.key for a in batch} for batch in prober.sets] == [{*keys, newcomer.key}]


def test_who_failed_is_not_asked_again_beside_what_comes_to_the_front_by_that(study):
    """The fourth is dominated by the second, until that one turns out slower."""
    made, keys, space = study((0.7, 5.0), (0.8, 10.0), (0.9, 20.0), (0.75, 12.0))
    second = dict(zip(keys[1:], (15.0, 20.0, 13.0), strict=True))

    def says(architecture):
        key = architecture.key
        return latency(second[key]) if key in second else Failure("timed out")

    prober, _, _ = again(made, space, says)
    assert [{a.key for a in batch} for batch in prober.sets] == [set(keys[:3]), set(keys[1:])]


def test_a_front_measured_again_is_left_alone(study):
    made, _, space = study((0.8, 10.0), (0.9, 20.0))
    again(made, space, lambda a: latency(10.0))
    prober, _, said = again(made, space, lambda a: latency(10.0))
    assert (prober.sets, said) == ([], [])
