"""Activations are kept on a GPU with room for them."""

from dataclasses import replace

import pytest
import torch

from nas.cost.memory import memory_of
from nas.cost.recompute import SHARE, free_memory, keep_where_it_fits
from search_spaces.registry import find_preset
from trainers.config import TrainConfig

PATCH = (16, 16, 16)
TRAIN = TrainConfig(patch=PATCH, batch=1)
PRUNED = replace(find_preset("stp-mta-unetr-tiny"), width=48, depth=4, mlp_ratio=1, features=4)


def decided(free, architecture=PRUNED, train=TRAIN):
    network = architecture.build(1, 2)
    kept = keep_where_it_fits(network, architecture, 1, 2, train, free)
    return kept, getattr(network, "recompute", "not offered")


def test_all_is_kept_where_its_estimate_fits():
    estimate = memory_of(
        PRUNED, 1, 2, PATCH, batch=1, precision="bf16", device="cuda", recompute=False
    )
    room = int(estimate.training / SHARE)
    assert decided(room + 2) == (True, False)
    assert decided(room - 2) == (False, None)


def test_the_estimate_is_of_the_optimiser_that_trains():
    train = TRAIN.model_copy(update={"optimizer": "sgd"})
    estimate = memory_of(
        PRUNED, 1, 2, PATCH, batch=1, precision="bf16", device="cuda", recompute=False, moments=1
    )
    room = int(estimate.training / SHARE)
    assert decided(room + 2, train=train) == (True, False)
    assert decided(room + 2) == (False, None)


def test_nothing_is_decided_on_a_cpu_or_for_networks_that_do_not_offer_it():
    assert decided(free_memory(torch.device("cpu"))) == (False, None)
    assert decided(10**12, find_preset("hybrid-xs")) == (False, "not offered")


@pytest.mark.parametrize("recompute", [True, False])
def test_what_was_decided_before_stays(recompute):
    network = PRUNED.build(1, 2)
    network.recompute = recompute
    assert not keep_where_it_fits(network, PRUNED, 1, 2, TRAIN, 10**12)
    assert network.recompute is recompute


def test_the_estimate_knows_what_is_computed_again():
    again, kept = (
        memory_of(PRUNED, 1, 2, PATCH, batch=1, recompute=recompute) for recompute in (True, False)
    )
    assert again.activations < 0.8 * kept.activations
    assert again.weights == kept.weights
