"""Learning rates are those of torch's schedulers, and decay by layer to the digit."""

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import (
    ConstantLR,
    CosineAnnealingLR,
    LinearLR,
    PolynomialLR,
    SequentialLR,
)

from trainers.config import Schedule, TrainConfig
from trainers.errors import UserError
from trainers.step.rates import layer_scales, learning_rate

EPOCHS, STEPS, RATE = 30, 10, 0.07
TOTAL = EPOCHS * STEPS
AFTER = {  # the rates after `rise` steps, by torch
    "constant": lambda optimizer, rise: ConstantLR(optimizer, 1.0, 0),
    "cosine": lambda optimizer, rise: CosineAnnealingLR(optimizer, TOTAL - rise),
    "poly": lambda optimizer, rise: PolynomialLR(optimizer, TOTAL - rise, 0.9),
    "t_max": lambda optimizer, rise: CosineAnnealingLR(optimizer, 10 * STEPS, 1e-9),
}
SCHEDULES = {"t_max": Schedule(t_max=10, minimum=1e-9)}


def by_torch(name, rise):
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], RATE)
    schedule = AFTER[name](optimizer, rise)
    if rise:
        optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], RATE)
        first = LinearLR(optimizer, 1 / (rise + 1), 1.0, rise)
        schedule = SequentialLR(optimizer, [first, AFTER[name](optimizer, rise)], [rise])
    rates = []
    for _ in range(TOTAL):
        rates.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    return rates


@pytest.mark.parametrize("rise", [0, 30])
@pytest.mark.parametrize("name", AFTER)
def test_rates_are_those_of_torchs_schedulers(name, rise):
    config = TrainConfig(
        patch=(4, 4, 4),
        epochs=EPOCHS,
        steps_per_epoch=STEPS,
        learning_rate=RATE,
        warmup=rise / TOTAL,
        schedule=SCHEDULES.get(name, name),
    )
    ours = [learning_rate(config, step) for step in range(TOTAL)]
    assert ours == pytest.approx(by_torch(name, rise), rel=0, abs=1e-12)


def test_after_t_max_a_cosine_rises_again():
    """LightMedSeg: T_max of 100 epochs in a training of 300."""
    schedule = Schedule(t_max=100, minimum=1e-9)
    config = TrainConfig(
        patch=(4, 4, 4), epochs=300, learning_rate=2e-4, warmup=0.0, schedule=schedule
    )
    at = [learning_rate(config, 100 * epoch) for epoch in (0, 50, 100, 200)]
    assert at == pytest.approx([2e-4, (2e-4 + 1e-9) / 2, 1e-9, 2e-4], rel=1e-12)


class Encoder(nn.Module):
    """An embedding, a token, two layers, a head; the second layer has a parameter of the first."""

    def __init__(self):
        super().__init__()
        self.embed, self.token = nn.Linear(2, 4), nn.Parameter(torch.zeros(4))
        self.layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(2))
        self.layers[1].bias = self.layers[0].bias
        self.head = nn.Linear(4, 2)

    def encoder_stages(self):
        return [[self.embed, self.token], [self.layers[0]], [self.layers[1]]]


def test_rates_decay_from_the_encoders_end_to_its_input():
    network = Encoder()
    scales = layer_scales(network, 0.75)
    named = {name: scales.get(p) for name, p in network.named_parameters()}
    assert named == {
        "token": 0.421875,
        "embed.weight": 0.421875,
        "embed.bias": 0.421875,
        "layers.0.weight": 0.5625,
        "layers.0.bias": 0.5625,
        "layers.1.weight": 0.75,
        "head.weight": None,
        "head.bias": None,
    }


def test_inside_a_wrapper_the_network_is_found():
    assert len(layer_scales(nn.Sequential(Encoder()), 0.75)) == 6


def test_a_network_without_stages_is_refused_where_they_are_needed():
    assert layer_scales(nn.Linear(2, 2), 1.0) == {}
    with pytest.raises(UserError, match=r"layer_decay = 0\.75: Linear does not offer the stages"):
        layer_scales(nn.Linear(2, 2), 0.75)


def test_a_schedule_may_be_a_word():
    config = TrainConfig.model_validate({"patch": (4, 4, 4), "schedule": "poly"})
    assert config.schedule == Schedule(kind="poly")


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"schedule": {"kind": "poly", "t_max": 3}}, "belong to cosine; remove them from poly"),
        ({"schedule": {"minimum": 3e-3}}, "expected less than learning_rate, 0.003"),
        ({"schedule": "stairs"}, "'cosine', 'constant' or 'poly'"),
        ({"layer_decay": 0.0}, "greater than 0"),
        ({"betas": (0.9, 1.0)}, "less than 1"),
    ],
)
def test_a_recipe_that_makes_no_sense_is_refused(wrong, told):
    with pytest.raises(ValueError, match=told):
        TrainConfig.model_validate({"patch": (4, 4, 4), **wrong})


def test_records_do_not_change_by_what_is_at_its_default():
    """So that studies, exports and drafts of before go on."""
    new = {"optimizer", "betas", "momentum", "schedule", "layer_decay"}
    assert not new & TrainConfig(patch=(4, 4, 4)).model_dump().keys()
    other = TrainConfig(patch=(4, 4, 4), optimizer="sgd", schedule=Schedule(kind="poly"))
    assert new & other.model_dump().keys() == {"optimizer", "schedule"}
    assert TrainConfig.model_validate(other.model_dump()) == other
