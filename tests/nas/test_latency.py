import pytest
import torch
from pydantic import ValidationError
from torch import nn

from nas.cost import LatencyConfig, measure_latency

CPU = torch.device("cpu")
SHAPE = (1, 2, 8, 8, 8)
QUICK = LatencyConfig(warmup=1, repeats=5, seconds=5)


def network(width=2):
    return nn.Sequential(nn.Conv3d(2, width, 3, padding=1), nn.Conv3d(width, 2, 3, padding=1))


class Counting(nn.Module):
    """Remembers in which mode and on what it was called."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def forward(self, x):
        self.calls.append((self.training, torch.is_grad_enabled(), tuple(x.shape)))
        return x


def test_percentiles_are_in_order_and_the_conditions_are_told():
    latency = measure_latency(network(), SHAPE, QUICK, CPU)
    assert 0 < latency.p50_ms <= latency.p90_ms <= latency.p99_ms
    assert latency.repeats == 5
    assert latency.shape == SHAPE
    assert latency.threads == torch.get_num_threads()
    assert latency.device


def test_warm_up_passes_come_on_top_of_the_repeats():
    counting = Counting()
    measure_latency(counting, SHAPE, LatencyConfig(warmup=4, repeats=3, seconds=5), CPU)
    assert counting.calls == [(False, False, SHAPE)] * 7


def test_time_that_is_up_ends_the_repeats_after_three():
    latency = measure_latency(network(), SHAPE, LatencyConfig(repeats=500, seconds=1e-9), CPU)
    assert latency.repeats == 3


@pytest.mark.parametrize("training", [True, False])
def test_the_network_is_left_as_it_came(training):
    net = network().train(training)
    net[0].bias.requires_grad_(False)
    measure_latency(net, SHAPE, QUICK, CPU)
    assert net.training is training
    assert [p.requires_grad for p in net.parameters()] == [True, False, True, True]
    net(torch.zeros(SHAPE)).sum().backward()
    assert net[1].weight.grad is not None


def test_the_mode_is_restored_where_the_network_fails():
    net = network().train()
    with pytest.raises(RuntimeError):
        measure_latency(net, (1, 3, 8, 8, 8), QUICK, CPU)
    assert net.training


def test_a_network_of_fifty_times_the_work_is_slower():
    shape = (1, 2, 16, 16, 16)
    light = measure_latency(network(1), shape, QUICK, CPU)
    heavy = measure_latency(network(100), shape, QUICK, CPU)
    assert heavy.p50_ms > 2 * light.p50_ms


def test_fewer_than_three_repeats_are_refused():
    with pytest.raises(ValidationError):
        LatencyConfig(repeats=2)
