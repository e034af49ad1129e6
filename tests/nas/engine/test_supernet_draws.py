"""Which networks a supernet is trained by, where there is a budget."""

import random
from collections import Counter

import pytest

from nas.config.resources import Resources
from nas.engine.supernet.draws import draws_within
from nas.engine.supernet.largest_within import LargestWithin
from nas.pareto.budget import Budget
from nas.study.training_cost import TrainingCosts
from search_spaces.elastic import scaled
from search_spaces.hybrid import SPACE
from trainers.config import TrainConfig

RESTRICT = {"token_stages": (0,), "norm": ("instance",), "levels": (3, 4)}
TRAIN = TrainConfig(patch=(32, 32, 32))
LIMIT = 150_000


@pytest.fixture(scope="module")
def costs():
    return TrainingCosts(TRAIN, Resources(), Budget(params=LIMIT), 1, 3)


def test_draws_are_within_the_budget_balanced_and_the_generator_s(costs):
    draws = draws_within(SPACE, RESTRICT, {}, costs, count=2, pool=24)
    rng = random.Random(0)
    drawn = [network for _ in range(150) for network in draws(rng)]
    assert len(drawn) == 300
    work = {network.key: costs.work(network) for network in drawn}
    assert max(cost["params"] for cost in work.values()) <= LIMIT
    macs = [work[network.key]["macs"] for network in drawn]
    low, high = min(macs), max(macs)
    upper = sum(cost > (low * high) ** 0.5 for cost in macs) / len(macs)
    assert 0.3 < upper < 0.7, f"{upper:.0%} are in the upper half of the octaves"
    assert [n.key for n in draws(random.Random(1))] == [n.key for n in draws(random.Random(1))]
    assert max(Counter(network.key for network in drawn).values()) < 100


def test_no_draw_is_possible_where_nothing_is_within_the_budget():
    none = TrainingCosts(TRAIN, Resources(), Budget(params=10), 1, 3)
    with pytest.raises(ValueError, match="within the budget"):
        draws_within(SPACE, RESTRICT, {}, none, pool=2)


def test_the_top_is_the_largest_of_its_kinds_within_the_budget(costs):
    within = LargestWithin(SPACE, RESTRICT, costs)
    for conv in ("standard", "ghost"):
        like = SPACE.presets()["hybrid-ghost" if conv == "ghost" else "hybrid-s"]
        largest = scaled(SPACE, RESTRICT, 1.0, like)
        assert costs.work(largest)["params"] > LIMIT
        found = within(largest)
        params = costs.work(found)["params"]
        assert found.conv == conv and LIMIT / 4 < params <= LIMIT
    small = scaled(SPACE, RESTRICT, 0.0)
    assert within(small) is small
