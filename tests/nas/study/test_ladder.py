"""The plain network of a space at several sizes."""

from dataclasses import replace

import numpy as np
import pytest

from nas.config.data_space import space_for
from nas.study.samplers import warm_start
from nas.study.samplers.ladder import SCALE, ladder
from search_spaces.axes import Axes
from search_spaces.hybrid import Hybrid
from search_spaces.registry import SPACES
from search_spaces.space import to_params
from tests.nas.parts import data_space, training_costs, warm_starts
from tests.nas.small_run import plain_run


def config(space="hybrid", patch=(64, 64, 64), budget=None, search=None, **restrict):
    return plain_run(
        train={"patch": patch},
        space={"name": space, "restrict": restrict},
        budget=budget or {},
        search=search or {},
    )


def rungs(run, count=5, within=None, prior=None):
    networks = ladder(within or data_space(run), training_costs(run, 1, 3), count, prior)
    return networks, [training_costs(run, 1, 3).work(network) for network in networks]


def test_its_rungs_rise_to_the_budget_in_both_costs():
    networks, costs = rungs(config(budget={"params": 4e5, "macs": 2e9}))
    assert len(networks) == 5
    params, macs = ([cost[name] for cost in costs] for name in ("params", "macs"))
    assert params == sorted(params)
    assert macs == sorted(macs)
    assert params[-1] <= 4e5
    assert macs[-1] <= 2e9
    assert macs[-1] > 2e9 / 2  # the budget is used
    assert max(np.diff(np.log(macs))) < 3 * min(np.diff(np.log(macs)))  # about geometric


def test_they_differ_in_size_only():
    networks, _ = rungs(config())
    for network in networks:
        others = {k: v for k, v in to_params(network).items() if k not in SCALE}
        plain = to_params(Hybrid(coarse_logits=True))
        assert others == {k: v for k, v in plain.items() if k not in SCALE}
    assert len({network.key for network in networks}) == len(networks)


def test_they_keep_to_the_space_the_patch_and_the_prior():
    networks, _ = rungs(config(width=[8, 16], conv=["ghost"]))
    assert {network.width for network in networks} == {8, 16}
    assert {network.conv for network in networks} == {"ghost"}
    networks, _ = rungs(config(), prior={"convs": 1, "width": 24})
    assert {network.convs for network in networks} == {1}
    assert len({network.width for network in networks}) > 2


def test_they_have_the_axes_of_the_data():
    run = config(patch=(64, 64, 8))
    within = data_space(run)
    thin = replace(within, space=within.space.on(Axes(starts=(0, 0, 2))))
    networks, _ = rungs(run, within=thin)
    assert {network.strides() for network in networks} == {(8, 8, 2)}


@pytest.mark.parametrize("name", list(SPACES))
def test_every_space_has_some(name):
    networks, costs = rungs(config(name))
    assert networks
    assert [cost["params"] for cost in costs] == sorted(cost["params"] for cost in costs)


def test_nothing_within_the_budget_is_no_ladder():
    assert rungs(config(budget={"params": 10})) == ([], [])


def test_a_search_begins_with_it_by_default():
    starts = warm_starts(config(), 1, 3)
    assert [start.name for start in starts] == [f"ladder {n}" for n in range(1, 6)]
    assert warm_starts(config(search={"warm_start": []}), 1, 3) == []


def test_it_takes_a_third_of_a_short_search_at_most():
    assert len(warm_starts(config(search={"trials": 6}), 1, 3)) == 2
    assert len(warm_starts(config(search={"trials": 1}), 1, 3)) == 1


def test_more_classes_than_channels_want_a_wider_refinement():
    run = config()
    within = space_for(run.space, None, run.train.patch, classes=6)
    starts = warm_start.warm_starts(run.search, within, training_costs(run, 1, 6))
    assert {start.architecture.refine for start in starts} == {8}


def test_presets_may_stand_beside_it():
    starts = warm_starts(config(search={"warm_start": ["ladder", "hybrid-s"]}), 1, 3)
    assert [start.name for start in starts][-1] == "hybrid-s"
    assert len(starts) == 6
