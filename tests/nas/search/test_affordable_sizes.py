"""Shared weights under a budget."""

from nas.config.data_space import space_for
from nas.config.resources import Resources
from nas.config.run_config import SpaceConfig
from nas.export.shared_weights import SharedWeights
from nas.pareto.budget import Budget
from nas.search.affordable_sizes import affordable_sizes
from nas.study.training_cost import TrainingCosts
from search_spaces.hybrid import Hybrid
from trainers.config import TrainConfig

TRAIN = TrainConfig(patch=(32, 32, 32))
RESTRICT = {
    "width": [4, 8, 32],
    "growth": [1.0, 2.0],
    "token_stages": [0],
    "norm": ["instance"],
    "anchors": [0],
    "conv": ["standard"],
}


def sizes_of(**limits):
    space = space_for(SpaceConfig(name="hybrid", restrict=RESTRICT), (1.0, 1.0, 1.0), TRAIN.patch)
    costs = TrainingCosts(TRAIN, Resources(), Budget(**limits), 1, 3)
    return space, costs, affordable_sizes(space, costs)


def test_wide_is_flat_and_deep_is_narrow(tmp_path):
    space, costs, sizes = sizes_of(params=60_000)
    smallest = {"convs": 1, "skip": "add", "refine": 0}
    for width in (4, 8, 32):
        for growth in (1.0, 2.0):
            for levels in (3, 4):
                net = Hybrid(width=width, growth=growth, levels=levels, **smallest)
                within = costs.work(net)["params"] <= 60_000
                assert ((width, growth, levels) in sizes) == within, net
    assert (32, 2.0, 3) not in sizes and (4, 2.0, 4) in sizes
    few = SharedWeights(space.space, space.restrict, 1, 3, tmp_path, sizes).build()
    every = SharedWeights(space.space, space.restrict, 1, 3, tmp_path).build()
    weights = [sum(p.numel() for p in net.parameters()) for net in (few, every)]
    assert weights[0] < weights[1] / 20


def test_without_a_limit_on_what_is_counted_all_occur():
    assert sizes_of()[2] is None and sizes_of(memory="1GiB")[2] is None
