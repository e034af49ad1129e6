import copy

import pytest
import torch
from torch import nn

from trainers.config import TrainConfig
from trainers.step import ScheduledOptimizer
from trainers.step.rates import learning_rate

CPU = torch.device("cpu")
CONFIG = TrainConfig(
    patch=(4, 4, 4), epochs=2, steps_per_epoch=6, learning_rate=0.05, weight_decay=0.1, clip=0.1
)


class OfTorch:
    """torch's AdamW and LambdaLR, as trainings before 0.2 had them."""

    def __init__(self, network):
        self.network = network
        self.adamw = torch.optim.AdamW(network.parameters(), 0.05, weight_decay=0.1)
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.adamw, lambda n: learning_rate(CONFIG, n) / 0.05
        )

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
    optimizer = ScheduledOptimizer(ours.parameters(), CONFIG, CPU)
    optimizer.load_state(copy.deepcopy(theirs.state()))
    for x in inputs(6):
        theirs.step(x)
        step(optimizer, ours, x)
        torch.testing.assert_close(ours.weight, theirs.network.weight, rtol=1e-6, atol=0)


def test_a_state_from_a_gpu_goes_on_as_one_from_a_cpu():
    net = network()
    optimizer = ScheduledOptimizer(net.parameters(), CONFIG, CPU)
    for x in inputs(3):
        step(optimizer, net, x)
    state = copy.deepcopy(optimizer.state())
    there = copy.deepcopy(state)
    for group in there["optimizer"]["param_groups"]:
        group |= {"fused": True, "capturable": True}
    weights = []
    for saved in (state, there):
        again = copy.deepcopy(net)
        resumed = ScheduledOptimizer(again.parameters(), CONFIG, CPU)
        resumed.load_state(saved)
        step(resumed, again, inputs(1)[0])
        weights.append(again.weight)
        assert resumed.state()["optimizer"]["param_groups"] == [
            {**state["optimizer"]["param_groups"][0], "lr": learning_rate(CONFIG, 4)}
        ]
    assert torch.equal(*weights)


def test_the_saved_learning_rate_is_a_number_that_the_next_step_takes():
    net = network()
    optimizer = ScheduledOptimizer(net.parameters(), CONFIG, CPU)
    step(optimizer, net, inputs(1)[0])
    state = optimizer.state()
    # 12 steps, 1.2 of them rising: the second one is step + 1 = 2 of 2.2
    assert state["optimizer"]["param_groups"][0]["lr"] == pytest.approx(0.05 * 2 / 2.2)
    assert state["schedule"] == {"last_epoch": 1}


def test_weights_change_in_place_and_rates_that_are_tensors_are_filled():
    net = network()
    optimizer = ScheduledOptimizer(net.parameters(), CONFIG, CPU)
    rate = torch.zeros(())
    optimizer._optimizer.param_groups[0]["lr"] = rate
    optimizer.begin_step()
    assert optimizer._optimizer.param_groups[0]["lr"] is rate
    assert float(rate) == pytest.approx(0.05 / 2.2)


OPTIMIZERS = {
    "adamw": (lambda p: torch.optim.AdamW(p, 0.05, (0.8, 0.9), weight_decay=0.1)),
    "adam": (lambda p: torch.optim.Adam(p, 0.05, (0.8, 0.9), weight_decay=0.1)),
    "sgd": (lambda p: torch.optim.SGD(p, 0.05, momentum=0.7, weight_decay=0.1, nesterov=True)),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_step_is_that_of_torchs_own_optimiser(name):
    chosen = {"optimizer": name, "betas": (0.8, 0.9), "momentum": 0.7}
    config = TrainConfig(**CONFIG.model_dump() | chosen | {"warmup": 0.0, "schedule": "constant"})
    ours, theirs = network(), network()
    optimizer, plain = (
        ScheduledOptimizer(ours.parameters(), config, CPU),
        OPTIMIZERS[name](theirs.parameters()),
    )
    for x in inputs(4):
        step(optimizer, ours, x)
        plain.zero_grad()
        theirs(x).square().mean().backward()
        nn.utils.clip_grad_norm_(theirs.parameters(), 0.1)
        plain.step()
        assert torch.equal(ours.weight, theirs.weight)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_with_scales_a_state_goes_on(name):
    config = TrainConfig(**CONFIG.model_dump() | {"optimizer": name})
    net = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 2))

    def optimizer_of(net):
        return ScheduledOptimizer(net.parameters(), config, CPU, {net[0].weight: 0.25})

    optimizer = optimizer_of(net)
    for x in inputs(3):
        step(optimizer, net, x)
    again, state = copy.deepcopy(net), copy.deepcopy(optimizer.state())
    rates = [group["lr"] for group in state["optimizer"]["param_groups"]]
    assert rates == [0.25 * learning_rate(config, 3), learning_rate(config, 3)]
    resumed = optimizer_of(again)
    resumed.load_state(state)
    for x in inputs(5):
        step(optimizer, net, x)
        step(resumed, again, x)
    assert all(map(torch.equal, net.parameters(), again.parameters()))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_fused_update_reads_rates_that_are_tensors(name):
    """As on CUDA, where a captured update reads them anew."""
    config = TrainConfig(**CONFIG.model_dump() | {"optimizer": name})
    plain, fused = (ScheduledOptimizer(n.parameters(), config, CPU) for n in (network(), network()))
    nets = [optimizer._parameters for optimizer in (plain, fused)]
    [group] = fused._optimizer.param_groups
    group |= {"fused": True, "lr": torch.tensor(0.0)}
    for x in inputs(4):
        for optimizer, (weight, bias) in zip((plain, fused), nets, strict=True):
            optimizer.begin_step()
            optimizer.drop_gradients()
            optimizer.backward(nn.functional.linear(x, weight, bias).square().mean())
            optimizer.update()
    torch.testing.assert_close(*(parameters[0] for parameters in nets), rtol=1e-5, atol=1e-7)


@pytest.mark.filterwarnings("error")
def test_fp16_scales_the_loss_on_a_cpu_too():
    config = TrainConfig(**CONFIG.model_dump() | {"precision": "fp16"})
    net = network()
    optimizer = ScheduledOptimizer(net.parameters(), config, CPU)
    assert optimizer.scales_loss
    with torch.autocast("cpu", torch.float16):
        logits = net(inputs(1)[0])
    optimizer.begin_step()
    optimizer.backward(1e-8 * logits.float().mean())  # half precision knows nothing below 6e-8
    optimizer.update()
    assert net.bias.grad.tolist() == pytest.approx([0.5e-8, 0.5e-8], rel=1e-2)

    saved = optimizer.state()
    assert saved["scaler"]
    for scaler in (saved["scaler"], {}):  # version 0.1 scaled nothing on a CPU
        ScheduledOptimizer(network().parameters(), config, CPU).load_state(
            {**saved, "scaler": scaler}
        )
