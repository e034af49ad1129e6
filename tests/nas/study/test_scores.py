"""Scores by shared weights: their file, whom to score, and what proposals make of them."""

import hashlib
import json
import random
from dataclasses import replace

import numpy as np
import optuna
import pytest

from nas.config.run_config import SearchConfig
from nas.pareto.budget import Budget
from nas.pareto.result import Result
from nas.study.contenders import Contenders
from nas.study.samplers.factory import check_sampler, make_sampler
from nas.study.samplers.testing import new_study, settings_of
from nas.study.scores import SCORES, Score, Scores
from search_spaces.hybrid import SPACE
from search_spaces.prior import draw_params
from search_spaces.space import RandomTrial
from tests.disk import small_files
from trainers.errors import UserError

SMALL = {"levels": (3,), "token_stages": (0,), "norm": ("instance",)}
SUPERNET = SearchConfig(strategy="supernet")


def network_of(params):
    return SPACE.sample(RandomTrial(0, params), SMALL)


def costs_of(network):
    size = float(network.width * network.convs)
    return {"params": 100 * size, "macs": 1000 * size}


def luck(key):
    """0 to 1, by no knob and no cost: nobody can know it who has no score."""
    return int(hashlib.sha256(key.encode()).hexdigest()[:8], 16) / 2**32


def score(params, dice):
    network = network_of(params)
    costs = costs_of(network)
    return Score(key=network.key, params=params, costs=costs, dice=dice, epoch=3, cases=2)


def draws(count, seed=0):
    rng, found = random.Random(seed), {}
    while len(found) < count:
        params = draw_params(SPACE, SMALL, rng)
        found[network_of(params).key] = params
    return list(found.values())


def settings(scores, search=SUPERNET):
    return replace(settings_of(search, SMALL), scores=scores)


def test_scores_are_read_again_and_each_network_has_one(tmp_path):
    one, two = (score(params, dice) for params, dice in zip(draws(2), (0.5, 0.6), strict=True))
    scores = Scores(tmp_path)
    scores.add([one])
    scores.add([replace(one, dice=0.1), two])
    again = Scores(tmp_path)
    assert list(again) == list(scores) == [one, two]
    assert len((tmp_path / SCORES).read_text().splitlines()) == 2
    assert one.key in again and again.get("none") is None


def test_a_line_that_a_kill_left_half_written_is_cut_off(tmp_path):
    one, two = (score(params, 0.5) for params in draws(2))
    Scores(tmp_path).add([one])
    with (tmp_path / SCORES).open("a") as file:
        file.write('{"key": "ab')
    scores = Scores(tmp_path)
    assert list(scores) == [one]
    scores.add([two])
    assert list(Scores(tmp_path)) == [one, two]


def test_what_could_not_be_written_whole_leaves_the_file_as_it_was(tmp_path):
    one, *others = (score(params, 0.5) for params in draws(11))
    scores = Scores(tmp_path)
    scores.add([one])
    before = (tmp_path / SCORES).read_bytes()
    with small_files(6 * len(before)), pytest.raises(OSError, match="File too large"):
        scores.add(others)
    assert (tmp_path / SCORES).read_bytes() == before
    assert list(Scores(tmp_path)) == [one] and len(scores) == 11
    scores.add([replace(one, key="another")])
    assert len(Scores(tmp_path)) == 2


def test_other_damage_is_refused_with_its_line(tmp_path):
    Scores(tmp_path).add([score(params, 0.5) for params in draws(3)])
    lines = (tmp_path / SCORES).read_text().splitlines()
    (tmp_path / SCORES).write_text("\n".join([lines[0], '{"key": 1}', lines[2]]) + "\n")
    with pytest.raises(UserError, match="line 2 is damaged"):
        Scores(tmp_path)


def test_contenders_are_new_and_those_asked_for_come_first(tmp_path):
    scores, (first, *known) = Scores(tmp_path), draws(20)
    scores.add([score(params, 0.5) for params in known])
    contenders = Contenders(settings(scores), scores, [first, known[0]])
    found = contenders.next(30)
    keys = [network_of(params).key for params in found]
    assert keys[0] == network_of(first).key
    assert len(set(keys)) == 30 and not any(key in scores for key in keys)
    contenders.give_back(found[5:7])
    assert [network_of(p).key for p in contenders.next(2)] == keys[5:7]


def test_contenders_are_children_of_what_scores_best(tmp_path):
    """Half of them differ little from a front of one; draws of the prior do in several knobs."""
    scores, (best, *others) = Scores(tmp_path), draws(30)
    scores.add([replace(score(best, 0.9), costs={"params": 1.0, "macs": 1.0})])
    scores.add([score(params, 0.1) for params in others])

    def differences(params):
        return sum(best.get(knob) != value for knob, value in params.items())

    near = [differences(params) <= 1 for params in Contenders(settings(scores), scores).next(60)]
    by_chance = [differences(params) <= 1 for params in draws(60, seed=1)]
    assert sum(near) >= 10 > 3 >= sum(by_chance)


def test_contenders_end_with_the_space(tmp_path):
    few = {knob.name: knob.options[:1] for knob in SPACE.knobs()} | {"width": (4, 6, 8)}
    scores = Scores(tmp_path)
    own = replace(settings_of(SUPERNET, few), scores=scores)
    contenders = Contenders(own, scores)
    assert len(contenders.next(10)) == 3
    assert contenders.next(10) == []


def proposals(scores, count=16):
    """The keys that a search of as many candidates trains, whose Dice is luck."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = make_sampler(settings(scores), costs_of, seed=0)
    study = new_study()
    study.sampler = sampler
    keys = []
    for _ in range(count):
        trial = study.ask()
        network = SPACE.sample(trial, SMALL)
        result = Result(
            number=trial.number, space="hybrid", key=network.key, architecture=network.to_json(),
            costs=costs_of(network), state="complete", dice=0.5 + 0.4 * luck(network.key), epochs=1,
        )  # fmt: skip
        trial.set_user_attr("result", result.to_json())
        study.tell(trial, [result.dice, result.costs["params"]])
        keys.append(network.key)
    return keys


def scored(folder, points, seed=None):
    """Scores that are right up to a shift, or, with a seed, those of other networks."""
    folder.mkdir()
    told = [0.2 + 0.3 * luck(network_of(params).key) for params in points]
    if seed is not None:
        random.Random(seed).shuffle(told)
    scores = Scores(folder)
    scores.add([score(params, dice) for params, dice in zip(points, told, strict=True)])
    return scores


def test_proposals_are_scored_networks_and_better_where_scores_are_right(tmp_path):
    points = draws(150)
    right = proposals(scored(tmp_path / "right", points))
    wrong = [proposals(scored(tmp_path / str(seed), points, seed)) for seed in (1, 2)]
    pool = {network_of(params).key for params in points}
    assert set(right) <= pool and len(set(right)) == len(right)
    means = [np.mean([luck(key) for key in keys]) for keys in (right, *wrong)]
    assert means[0] > 0.75, means
    assert max(means[1:]) < 0.65, means


def test_what_is_over_the_budget_is_not_proposed(tmp_path):
    points = draws(60)
    own = replace(settings(scored(tmp_path / "a", points)), budget=Budget(params=1600))
    study = new_study()
    study.sampler = make_sampler(own, costs_of, seed=0)
    for _ in range(6):
        network = SPACE.sample(trial := study.ask(), SMALL)
        assert costs_of(network)["params"] <= 1600
        study.tell(trial, [0.5 + luck(network.key) / 10, costs_of(network)["params"]])


@pytest.mark.parametrize("sampler", ["tpe", "nsga2", "TPESampler"])
def test_a_sampler_without_scores_is_refused(sampler):
    with pytest.raises(UserError, match=r"search\.sampler: .* scores by shared weights"):
        check_sampler(SearchConfig(strategy="supernet", sampler=sampler))
    check_sampler(SearchConfig(strategy="supernet"))


def test_a_score_is_one_line_of_json(tmp_path):
    Scores(tmp_path).add([score(draws(1)[0], 0.5)])
    told = json.loads((tmp_path / SCORES).read_text())
    assert set(told) == {"key", "params", "costs", "dice", "epoch", "cases"}
