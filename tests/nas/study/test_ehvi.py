"""Proposals by expected hypervolume improvement, where costs are known and Dice is not."""

import math
import random
from dataclasses import replace

import moocore
import numpy as np
import optuna
import pytest
from scipy.stats.qmc import Sobol

from nas.config.run_config import SearchConfig
from nas.pareto.budget import Budget
from nas.pareto.result import Result
from nas.study.samplers.counted_network import CountedNetwork, NetworkCounter
from nas.study.samplers.ehvi import landscape
from nas.study.samplers.ehvi.features import KnobFeatures
from nas.study.samplers.ehvi.guessed_costs import MemoryModel
from nas.study.samplers.ehvi.improvement import best_within, expected_gain, improvement
from nas.study.samplers.ehvi.landscape import Landscape
from nas.study.samplers.ehvi.observations import Observations
from nas.study.samplers.ehvi.pool import Pool
from nas.study.samplers.ehvi.sampler import _non_dominated
from nas.study.samplers.factory import make_sampler
from nas.study.samplers.testing import new_study, settings_of
from search_spaces.hybrid import SPACE, Hybrid
from search_spaces.space import RandomTrial, to_params

FRONT = np.array([[0.2, 0.5], [0.5, 0.7], [0.9, 0.8]])  # cost, Dice
SMALL = {"width": (4, 6, 8, 12, 16), "levels": (3,), "token_stages": (0,)}


@pytest.fixture(autouse=True)
def _quiet():
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def test_the_expected_gain_is_the_mean_over_draws():
    draws = np.random.default_rng(0).normal(0.7, 0.1, 200_000)
    for best in (0.5, 0.7, 0.85):
        mean, std = np.array(0.7), np.array(0.1)
        gain = expected_gain(mean, std, np.array(best))
        assert gain == pytest.approx(np.maximum(draws - best, 0).mean(), rel=0.03)


def test_a_certain_network_improves_by_the_hypervolume_that_it_adds():
    limits = Sobol(1, rng=0).random(4096)
    best = best_within(limits, FRONT[:, :1], FRONT[:, 1], 0.4)
    candidates = np.array([[0.1, 0.45], [0.3, 0.65], [0.6, 0.6], [0.7, 0.9]])
    found = improvement(limits, best, candidates[:, :1], candidates[:, 1], np.full(4, 1e-9))

    def volume(points):
        return moocore.hypervolume(points * [1, -1], ref=[1.0, -0.4])

    added = [volume(np.vstack([FRONT, point])) - volume(FRONT) for point in candidates]
    assert found == pytest.approx(added, abs=1e-3)
    assert found[2] == pytest.approx(0)  # behind one that costs less


def test_what_is_below_the_reference_improves_nothing():
    limits = Sobol(1, rng=0).random(64)
    best = best_within(limits, FRONT[:, :1], FRONT[:, 1], 0.75)
    assert improvement(limits, best, np.array([[0.1]]), np.array([0.6]), np.array([1e-9])) == 0


def test_the_best_within_limits_is_the_best_of_all_that_keep_them():
    rng = np.random.default_rng(0)
    limits, costs = rng.random((64, 2)), rng.random((200, 2)).round(1)
    dice = rng.random(200).round(1)
    for limit, best in zip(limits, best_within(limits, costs, dice, 0.3), strict=True):
        within = [found for cost, found in zip(costs, dice, strict=True) if (cost <= limit).all()]
        assert best == max([0.3, *within])


def told(study, params, cost=1e4, **found):
    """End a trial as a search does."""
    study.enqueue_trial(params)
    trial = study.ask()
    network = SPACE.sample(trial)
    result = Result(
        number=trial.number, space="hybrid", key=network.key, architecture=network.to_json(),
        costs={"params": cost}, **found,
    )  # fmt: skip
    trial.set_user_attr("result", result.to_json())
    complete = result.state == "complete"
    study.tell(trial, [result.dice, 1e4] if complete else [-np.inf, np.inf])


def test_a_stopped_network_counts_with_what_others_gained_later():
    counter = NetworkCounter(SPACE, {}, lambda _: {})
    study, seen = new_study(), Observations(("dice", "params"), counter, Budget())
    for seed, curve in enumerate([(0.2, 0.5, 0.6), (0.3, 0.5, 0.8), (0.4, 0.7, 0.8)]):
        params = to_params(SPACE.sample(RandomTrial(seed)))
        told(study, params, state="complete", dice=curve[-1], curve=curve)
    told(study, to_params(SPACE.sample(RandomTrial(9))), state="stopped", curve=(0.1, 0.35))
    told(study, to_params(SPACE.sample(RandomTrial(10))), state="infeasible", reason="over budget")
    seen.update(study)
    assert seen.final_dice() == pytest.approx([0.6, 0.8, 0.8, 0.35 + 0.1])
    assert len(seen.proposed) == 5
    seen.update(study)
    assert len(seen.trained) == 4  # each is read once


def test_a_dice_that_is_no_number_tells_nothing():
    """An evaluator of somebody's own may report one, and the candidate is then stopped."""
    study = new_study()
    seen = Observations(("dice", "params"), NetworkCounter(SPACE, {}, lambda _: {}), Budget())
    for seed, (state, curve) in enumerate([
        ("complete", (0.2, 0.6)),
        ("complete", (math.nan, 0.8)),
        ("stopped", (0.3,)),
        ("stopped", (math.nan,)),
    ]):  # fmt: skip
        dice = {"dice": curve[-1]} if state == "complete" else {}
        told(study, to_params(SPACE.sample(RandomTrial(seed))), state=state, curve=curve, **dice)
    seen.update(study)
    assert seen.final_dice() == pytest.approx([0.6, 0.8, 0.3 + 0.4])
    assert len(seen.proposed) == 4


def test_a_network_whose_latency_waits_drives_no_other_off_the_front():
    waits = CountedNetwork({"width": 4}, "a", {"params": 100.0})
    quick = CountedNetwork({"width": 8}, "b", {"params": 200.0, "latency_ms@here": 5.0})
    worse = CountedNetwork({"width": 6}, "c", {"params": 150.0})
    told = [(waits, 0.9), (quick, 0.8), (worse, 0.8)]
    assert _non_dominated(told, ("params", "latency_ms@here")) == [waits, quick]


def test_a_latency_that_waits_is_taken_for_the_mean_of_the_few_that_are_known():
    known = [CountedNetwork({}, name, {"latency_ms": ms}) for name, ms in (("a", 10), ("b", 40))]
    waits = CountedNetwork({}, "c", {})
    rows = np.zeros((3, 2))
    model = landscape._fit_measured("latency_ms", [waits, *known], rows)
    assert 10 ** model.predict(rows) == pytest.approx([20.0] * 3)
    assert landscape._fit_measured("latency_ms", [waits], rows) is None


def test_it_proposes_where_all_were_stopped():
    study = new_study()
    for seed in range(5):
        params = to_params(SPACE.sample(RandomTrial(seed)))
        told(study, params, state="stopped", curve=(0.1 * seed,))
    settings = settings_of(SearchConfig(sampler="ehvi", startup=0))
    study.sampler = make_sampler(settings, lambda n: {"params": params_of(n)}, 0)
    assert SPACE.sample(study.ask()).key


def test_what_departs_from_the_usual_is_counted_but_for_its_size():
    features = KnobFeatures(SPACE, {"norm": ("batch", "group")}, {"refine": 8})
    usual = {"norm": "batch", "refine": 8, "coarse_logits": True}
    networks = [
        Hybrid(**usual),
        Hybrid(**usual, width=32, growth=1.0),
        Hybrid(**{**usual, "norm": "group", "refine": 4}, conv="ghost"),
    ]
    assert features.departures([to_params(n) for n in networks]).tolist() == [0, 0, 3]


@pytest.mark.parametrize("before", [0, 30], ids=["few", "after many that said the opposite"])
def test_that_departures_are_bad_is_learned_for_options_that_were_not_tried(before, monkeypatch):
    """Five plain networks are good, and three others not: so are the others of the pool."""
    features = KnobFeatures(SPACE, {})
    monkeypatch.setattr(landscape, "FITTED", 8)
    plain = [Hybrid(coarse_logits=True, width=width) for width in (4, 8, 12, 16, 24)]
    others = [
        Hybrid(conv="ghost", convs=1, skip="add"),
        Hybrid(norm="group", residual=False, refine=0),
        Hybrid(anchors=8, convs=3, levels=4),
    ]
    study = new_study()
    all_dice = 0.66, 0.69, 0.7, 0.705, 0.71, 0.2, 0.3, 0.25
    opposed = [(plain[1], 0.1), (others[1], 0.6)] * (before // 2)
    for network, dice in [*opposed, *zip([*plain, *others], all_dice, strict=True)]:
        found = {"state": "complete", "dice": dice, "curve": (dice,)}
        told(study, to_params(network), params_of(network), **found)
    seen = Observations(("dice", "params"), NetworkCounter(SPACE, {}, lambda _: {}), Budget())
    seen.update(study)
    learned = Landscape(features, seen, [], ("dice", "params"), Budget(), 0)
    far = to_params(Hybrid(prior=True, decoder="adaptive", stem_stride=1, growth=1.5))
    near = to_params(Hybrid(coarse_logits=True, growth=1.5))
    costs = {"params": 300.0}
    worth = learned.worth([CountedNetwork(p, "", costs) for p in (near, far)])
    assert worth[0] > 1.5 * worth[1]


def params_of(network):
    return float(network.width**2 * network.convs * (1 + network.growth))


def dice_of(network):
    """Residual units, instance norms and width are good, with less and less of it."""
    good = 0.03 * network.residual + 0.03 * (network.norm == "instance")
    return 0.9 - 0.4 / network.width - 0.1 / network.convs**2 + good


def searched(sampler, trials, seed, budget=None):
    """The relative hypervolume of a search in which trainings take no time."""
    settings = settings_of(SearchConfig(sampler=sampler, startup=5, warm_start=()), SMALL)
    settings = replace(settings, budget=budget or Budget())
    study = new_study()
    study.sampler = make_sampler(settings, lambda n: {"params": params_of(n)}, seed)
    networks = []
    for _ in range(trials):
        trial = study.ask()
        network = SPACE.sample(trial, SMALL)
        networks.append(network)
        study.tell(trial, [dice_of(network), params_of(network)])
    return networks


def volume(networks):
    points = np.array([[np.log10(params_of(n)) / 3, -dice_of(n)] for n in networks])
    return moocore.hypervolume(points, ref=[1.1, -0.85])


def test_it_finds_more_than_random_and_than_its_prior_alone():
    found = {
        name: np.mean([volume(searched(name, 24, seed)) for seed in range(4)])
        for name in ("ehvi", "prior", "random")
    }
    assert found["ehvi"] > 1.2 * max(found["prior"], found["random"]), found


def test_it_proposes_no_network_twice_while_there_are_others():
    keys = [network.key for network in searched("ehvi", 30, 0)]
    assert len(set(keys)) == 30


def test_it_keeps_to_the_budget_that_it_knows():
    networks = searched("ehvi", 20, 0, Budget(params=400))
    assert all(params_of(network) <= 400 for network in networks[5:])


def test_draws_of_the_prior_have_all_sizes():
    octaves = [int(np.log2(params_of(n))) for n in searched("prior", 24, 0)]
    counts = np.bincount(octaves)[min(octaves) :]
    assert len(counts) >= 5
    assert counts.max() <= 8  # of 24: no octave takes half of them


class Counts:
    """What a network costs; the memory takes long."""

    def __init__(self):
        self.memories = 0

    def __call__(self, network):
        self.memories += 1
        return {**self.work(network), "memory": 1e4 * params_of(network)}

    def work(self, network):
        return {"params": params_of(network), "macs": 100 * params_of(network)}


def test_memory_is_counted_of_what_is_proposed_and_keeps_to_the_budget():
    search = SearchConfig(sampler="ehvi", startup=5, startup_sampler="random", warm_start=())
    settings = replace(settings_of(search, SMALL), budget=Budget(memory=4_000_000))
    study, costs = new_study(), Counts()
    study.sampler = make_sampler(settings, costs, 0)
    for number in range(10):
        trial = study.ask()
        network = SPACE.sample(trial, SMALL)
        assert number < 5 or params_of(network) <= 400
        study.tell(trial, [dice_of(network), params_of(network)])
    assert 5 <= costs.memories <= 12  # of the five proposals, and few were refused for it


def test_memory_is_guessed_from_networks_of_which_it_is_known():
    features, costs = KnobFeatures(SPACE, SMALL), Counts()
    networks = [SPACE.sample(RandomTrial(seed), SMALL) for seed in range(12)]
    known = [CountedNetwork(to_params(n), n.key, costs(n)) for n in networks[:10]]
    others = [CountedNetwork(to_params(n), n.key, costs.work(n)) for n in networks[10:]]
    guessed = MemoryModel(known, features).complete([known[0], *others])
    assert guessed[0] == known[0]
    for network, guess in zip(networks[10:], guessed[1:], strict=True):
        assert guess.costs["memory"] == pytest.approx(1e4 * params_of(network), rel=0.5)
    assert MemoryModel(others, features).complete(others) == others


def test_what_was_proposed_and_not_begun_is_known_with_its_memory():
    counter = NetworkCounter(SPACE, SMALL, Counts())
    pool = Pool(SPACE, SMALL, {}, counter, Budget(), random.Random(0))
    pool.add([pool.draw()])
    [network] = pool.open(())
    assert "memory" not in network.costs and pool.admits(network)
    [again] = pool.open(())  # its time was no guess to who left it out, and is none here
    assert again.costs == counter.count_all(network).costs
    assert again.costs["memory"] == 100 * again.costs["macs"]
