import copy

import pytest
import torch
from torch import nn

from trainers.config import TrainConfig
from trainers.step import ScheduledAdamW

CPU = torch.device("cpu")
CONFIG = TrainConfig(
    patch=(4, 4, 4), epochs=2, steps_per_epoch=6, learning_rate=0.05, weight_decay=0.1, clip=0.1
)


class OfTorch:
    """torch's AdamW and LambdaLR, as trainings before 0.2 had them."""

    def __init__(self, network):
        self.network = network
        self.adamw = torch.optim.AdamW(network.parameters(), 0.05, weight_decay=0.1)
        share = ScheduledAdamW(network.parameters(), CONFIG, CPU)._rate
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.adamw, lambda n: share(n) / 0.05)

    def step(self, x):
        self.adamw.zero_grad()
        self.network(x).square().mean().backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 0.1)
        self.adamw.step()
        self.schedule.step()

    def state(self):
        return {
            "optimizer": self.adamw.state_dict(),
            "schedule": self.schedule.state_dict(),
            "scaler": {},
        }


def step(optimizer, network, x):
    optimizer.begin_step()
    optimizer.drop_gradients()
    optimizer.backward(network(x).square().mean())
    optimizer.update()


def network():
    torch.manual_seed(0)
    return nn.Linear(3, 2)


def inputs(count):
    torch.manual_seed(1)
    return [torch.randn(4, 3) for _ in range(count)]


@pytest.mark.parametrize("before", [0, 5])
def test_a_training_of_torchs_own_goes_on(before):
    theirs = OfTorch(network())
    for x in inputs(before):
        theirs.step(x)
    ours = copy.deepcopy(theirs.network)
    optimizer = ScheduledAdamW(ours.parameters(), CONFIG, CPU)
    optimizer.load_state(copy.deepcopy(theirs.state()))
    for x in inputs(6):
        theirs.step(x)
        step(optimizer, ours, x)
        torch.testing.assert_close(ours.weight, theirs.network.weight, rtol=1e-6, atol=0)


def test_a_state_from_a_gpu_goes_on_as_one_from_a_cpu():
    net = network()
    optimizer = ScheduledAdamW(net.parameters(), CONFIG, CPU)
    for x in inputs(3):
        step(optimizer, net, x)
    state = copy.deepcopy(optimizer.state())
    there = copy.deepcopy(state)
    for group in there["optimizer"]["param_groups"]:
        group |= {"fused": True, "capturable": True}
    weights = []
    for saved in (state, there):
        again = copy.deepcopy(net)
        resumed = ScheduledAdamW(again.parameters(), CONFIG, CPU)
        resumed.load_state(saved)
        step(resumed, again, inputs(1)[0])
        weights.append(again.weight)
        assert resumed.state()["optimizer"]["param_groups"] == [
            {**state["optimizer"]["param_groups"][0], "lr": resumed._rate(4)}
        ]
    assert torch.equal(*weights)


def test_the_saved_learning_rate_is_a_number_that_the_next_step_takes():
    net = network()
    optimizer = ScheduledAdamW(net.parameters(), CONFIG, CPU)
    step(optimizer, net, inputs(1)[0])
    state = optimizer.state()
    # 12 steps, 1.2 of them rising: the second one is step + 1 = 2 of 2.2
    assert state["optimizer"]["param_groups"][0]["lr"] == pytest.approx(0.05 * 2 / 2.2)
    assert state["schedule"] == {"last_epoch": 1}


def test_weights_change_in_place_and_rates_that_are_tensors_are_filled():
    net = network()
    optimizer = ScheduledAdamW(net.parameters(), CONFIG, CPU)
    rate = torch.zeros(())
    optimizer._adamw.param_groups[0]["lr"] = rate
    optimizer.begin_step()
    assert optimizer._adamw.param_groups[0]["lr"] is rate
    assert float(rate) == pytest.approx(0.05 / 2.2)
