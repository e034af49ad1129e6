import math
from time import sleep

import pytest
import torch
from torch import nn
from torch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)

from trainers.augment.config import Augment
from trainers.checkpoint import keep_weights_only, read_checkpoint
from trainers.config import LossConfig, Schedule, TrainConfig
from trainers.data.splits import Cases
from trainers.errors import TrainingDivergedError, UserError
from trainers.fake_quantise import fake_quantise
from trainers.trainer import Trainer

CPU = torch.device("cpu")
CLASSES = 4
SHORT = TrainConfig(
    patch=(16, 16, 16), epochs=4, steps_per_epoch=3, learning_rate=0.01, augment=Augment(noise=0.1)
)
FIVES = SHORT.model_copy(update={"batch": 5, "steps_per_epoch": 1, "validate_every": 4})


def network(width=4):
    """Noise of its own (dropout) and a memory of its own (batch norm)."""
    torch.manual_seed(7)
    return nn.Sequential(
        nn.Conv3d(1, width, 3, padding=1),
        nn.BatchNorm3d(width),
        nn.SiLU(),
        nn.Dropout3d(0.2),
        nn.Conv3d(width, CLASSES, 1),
    )


def trainer(phantom, config=SHORT, net=None, checkpoint=None, seed=0, **options):
    cache, cases = phantom
    return Trainer(
        network() if net is None else net,
        cache,
        cases,
        config,
        device=CPU,
        seed=seed,
        checkpoint=checkpoint,
        **options,
    )


def run(training):
    reports = []
    while not training.done:
        reports.append(training.run_epoch())
    return reports


def figures(reports):
    return [(r.epoch, r.loss, r.dice, dict(r.dice_per_class)) for r in reports]


def test_the_same_seed_gives_the_same_losses(phantom):
    first, second, other = (run(trainer(phantom, seed=seed)) for seed in (0, 0, 1))
    assert str(figures(first)) == str(figures(second))  # as text: NaN is not equal to NaN
    assert first[0].loss != other[0].loss


class Staged(nn.Sequential):
    """The same network, which tells the stages of its encoder."""

    def encoder_stages(self):
        return [[self[0]], [self[1]]]


OTHERS = [
    {"optimizer": "adam", "betas": (0.8, 0.9), "schedule": Schedule(t_max=1, minimum=1e-4)},
    {"optimizer": "sgd", "schedule": Schedule(kind="poly"), "layer_decay": 0.75},
]


@pytest.mark.parametrize("recipe", [{}, *OTHERS], ids=["usual", "adam", "sgd"])
def test_going_on_from_a_checkpoint_is_like_never_having_stopped(phantom, tmp_path, recipe):
    config = SHORT.model_copy(update=recipe)
    whole = trainer(phantom, config, Staged(*network()))
    expected = run(whole)

    stopped = trainer(phantom, config, Staged(*network()), tmp_path / "a.pt")
    reports = [stopped.run_epoch(), stopped.run_epoch()]
    torch.rand(5)  # whatever else a process does in between
    resumed = trainer(phantom, config, Staged(*network()), tmp_path / "a.pt")
    assert resumed.epoch == 2
    reports += run(resumed)

    assert str(figures(reports)) == str(figures(expected))
    assert str(resumed.curve) == str(whole.curve)
    for ours, theirs in zip(
        resumed.network.state_dict().values(), whole.network.state_dict().values(), strict=True
    ):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_rounded_layers_go_on_with_the_ranges_that_they_had_seen(phantom, tmp_path, ema):
    """Also where all epochs are trained, and only the validation is done again."""

    def rounded():
        net = network()
        assert fake_quantise(net) == 2
        return net

    config = SHORT.model_copy(update={"epochs": 2, "ema": ema})
    whole = trainer(phantom, config, rounded())
    expected = run(whole)
    reports = [trainer(phantom, config, rounded(), tmp_path / "a.pt").run_epoch()]
    reports.append(trainer(phantom, config, rounded(), tmp_path / "a.pt").run_epoch())
    assert str(figures(reports)) == str(figures(expected))
    done = trainer(phantom, config, rounded(), tmp_path / "a.pt")
    assert str(done.validate()) == str(whole.validate())


def test_what_goes_on_knows_the_seconds_before_without_those_of_pauses(phantom, tmp_path):
    file, pauses = tmp_path / "a.pt", []
    first = trainer(phantom, checkpoint=file, pause=lambda: pauses.append(sleep(0.02)))
    report = first.run_epoch()
    assert first.earlier == 0
    second = trainer(phantom, checkpoint=file)
    assert 0 < second.earlier <= report.seconds - 0.02 * len(pauses)
    again = second.run_epoch()
    third = trainer(phantom, checkpoint=file)
    assert second.earlier < third.earlier <= second.earlier + again.seconds


def test_a_finished_checkpoint_needs_no_more_training(phantom, tmp_path):
    run(trainer(phantom, checkpoint=tmp_path / "a.pt"))
    assert trainer(phantom, checkpoint=tmp_path / "a.pt").done


def test_another_networks_checkpoint_is_refused(phantom, tmp_path):
    trainer(phantom, checkpoint=tmp_path / "a.pt").run_epoch()
    with pytest.raises(UserError, match="another network's weights"):
        trainer(phantom, net=network(width=6), checkpoint=tmp_path / "a.pt")


def test_training_does_not_go_on_from_weights_only(phantom, tmp_path):
    trainer(phantom, checkpoint=tmp_path / "a.pt").run_epoch()
    keep_weights_only(tmp_path / "a.pt")
    with pytest.raises(UserError, match="weights only"):
        trainer(phantom, checkpoint=tmp_path / "a.pt")


def test_validation_is_due_every_so_many_epochs_and_at_the_end(phantom):
    config = SHORT.model_copy(update={"epochs": 5, "steps_per_epoch": 1, "validate_every": 2})
    training = trainer(phantom, config)
    reports = run(training)
    assert [report.dice is not None for report in reports] == [False, True, False, True, True]
    assert training.curve == [report.dice for report in reports if report.dice is not None]
    assert reports[1].dice_per_class.keys() == {"liver", "aorta", "adrenal"}
    assert reports[0].dice_per_class == {}


def test_no_step_and_no_pass_of_a_validation_without_a_pause_before(phantom):
    cache, cases = phantom
    calls = []
    net = network()
    net.register_forward_pre_hook(lambda *_: calls.append("pass"))
    Trainer(
        net, cache, cases, SHORT, device=CPU, seed=0, pause=lambda: calls.append("pause")
    ).run_epoch()
    # 3 steps; 2 cases of 24^3 voxels in 2^3 windows of 16^3, by twos
    assert calls == ["pause", "pass"] * (3 + 2 * 4)


def test_without_validation_cases_there_is_no_dice(phantom):
    cache, cases = phantom
    reports = run(trainer((cache, Cases(train=cases.train, validation=()))))
    assert all(report.dice is None for report in reports)


class Diverging(nn.Module):
    """Its logits are NaN from the third step on."""

    def __init__(self):
        super().__init__()
        self.inner, self.steps = nn.Conv3d(1, CLASSES, 1), 0

    def forward(self, x):
        self.steps += self.training
        return self.inner(x) * (math.nan if self.steps > 2 else 1.0)


def test_a_loss_that_is_no_number_ends_the_training(phantom, tmp_path):
    config = SHORT.model_copy(update={"steps_per_epoch": 2})
    training = trainer(phantom, config, net=Diverging(), checkpoint=tmp_path / "a.pt")
    training.run_epoch()
    with pytest.raises(TrainingDivergedError, match="nan in epoch 2"):
        training.run_epoch()
    weights = read_checkpoint(tmp_path / "a.pt")["weights"]
    assert all(torch.isfinite(w).all() for w in weights.values())  # still those of epoch 1


def test_weights_that_the_last_step_of_an_epoch_broke_end_the_training(phantom, tmp_path):
    net = network()

    def breaks(optimizer, *_):
        if training.epoch == 1:
            with torch.no_grad():
                net[0].weight[0] = math.inf

    training = trainer(phantom, FIVES, net, checkpoint=tmp_path / "a.pt")
    hook = register_optimizer_step_post_hook(breaks)
    try:
        training.run_epoch()
        with pytest.raises(TrainingDivergedError, match="a weight is not finite after epoch 2"):
            training.run_epoch()
    finally:
        hook.remove()
    assert read_checkpoint(tmp_path / "a.pt")["weights"]["0.weight"].isfinite().all()


class BrokenInUse(nn.Conv3d):
    """Trains well, but segments with NaN."""

    def forward(self, x):
        return super().forward(x) * (1 if self.training else math.nan)


def test_a_segmentation_that_is_no_number_ends_the_training(phantom):
    training = trainer(phantom, net=BrokenInUse(1, CLASSES, 1))
    with pytest.raises(TrainingDivergedError, match=r"logits of case .+ are not all finite"):
        training.run_epoch()


def test_without_a_disk_to_write_on_training_goes_on_if_told(phantom, tmp_path):
    (tmp_path / "file").touch()
    unwritable, told = tmp_path / "file" / "a.pt", []
    training = trainer(phantom, checkpoint=unwritable, on_unsaved=told.append)
    assert [report.epoch for report in run(training)] == [1, 2, 3, 4]
    assert len(told) == 4
    with pytest.raises(OSError, match="file"):
        trainer(phantom, checkpoint=unwritable).run_epoch()


class WeighsItself(nn.Conv3d):
    """No batch norm, and an auxiliary loss that is a mean over the patches of the last pass."""

    def forward(self, x):
        self.seen = super().forward(x)
        return self.seen

    def auxiliary_losses(self, target):
        return {"size": (self.seen * target).square().mean()}


@pytest.mark.parametrize("passes", [2, 3])  # neither parts 5 evenly
def test_several_passes_make_the_step_of_one(phantom, passes):
    config = FIVES.model_copy(update={"loss": LossConfig(dice=0)})
    steps = []
    for accumulate in (1, passes):
        torch.manual_seed(0)
        net = WeighsItself(1, CLASSES, 3, padding=1)
        report = trainer(phantom, config, net=net, accumulate=accumulate).run_epoch()
        steps.append((report.loss, net.weight.grad, net.bias.grad))
    for one, several in zip(*steps, strict=True):
        torch.testing.assert_close(several, one, rtol=1e-4, atol=1e-6)


def test_no_pass_takes_more_than_its_part_of_a_batch(phantom):
    net, calls = network(), []
    net.register_forward_pre_hook(lambda _, x: calls.append(len(x[0])))
    trainer(phantom, FIVES, net, accumulate=2, pause=lambda: calls.append("pause")).run_epoch()
    assert calls == ["pause", 3, "pause", 2]


def test_a_checkpoint_of_several_passes_keeps_them(phantom, tmp_path):
    trainer(phantom, checkpoint=tmp_path / "a.pt", accumulate=2).run_epoch()
    assert trainer(phantom, checkpoint=tmp_path / "a.pt").accumulate == 2


def test_more_passes_than_patches_are_refused(phantom):
    with pytest.raises(ValueError, match="accumulate = 3; expected 1 to the batch, 2"):
        trainer(phantom, accumulate=3)


def test_the_learning_rate_rises_and_falls_as_a_cosine(phantom):
    rates = []
    hook = register_optimizer_step_pre_hook(lambda o, *_: rates.append(o.param_groups[0]["lr"]))
    try:
        config = {"epochs": 2, "steps_per_epoch": 5, "warmup": 0.4, "learning_rate": 0.5}
        run(trainer(phantom, SHORT.model_copy(update=config)))
    finally:
        hook.remove()
    # 10 steps, 4 of them rising to the fifth; then cosines of 0, 30, ... 150 degrees
    root = math.sqrt(3) / 2
    shares = [0.2, 0.4, 0.6, 0.8, 1, (1 + root) / 2, 0.75, 0.5, 0.25, (1 - root) / 2]
    assert rates == pytest.approx([0.5 * share for share in shares])


class WithAuxiliary(nn.Module):
    """A network that trains with an extra term."""

    def __init__(self, extra):
        super().__init__()
        self.inner, self.extra = nn.Conv3d(1, CLASSES, 1), extra

    def forward(self, x):
        return self.inner(x)

    def auxiliary_losses(self, target):
        assert target.shape == (2, 1, 16, 16, 16)
        return {"half": torch.tensor(self.extra / 2), "rest": torch.tensor(self.extra / 2)}


def test_auxiliary_losses_are_added(phantom):
    config = SHORT.model_copy(update={"steps_per_epoch": 1})
    losses = []
    for extra in (0.0, 3.0):
        torch.manual_seed(0)
        losses.append(trainer(phantom, config, net=WithAuxiliary(extra)).run_epoch().loss)
    assert losses[1] - losses[0] == pytest.approx(3.0, abs=1e-5)


def test_a_short_training_learns(phantom):
    config = TrainConfig(patch=(24, 24, 24), epochs=2, steps_per_epoch=30, learning_rate=0.03)
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv3d(1, 8, 3, padding=1),
        nn.BatchNorm3d(8),
        nn.SiLU(),
        nn.Conv3d(8, 8, 3, padding=1),
        nn.BatchNorm3d(8),
        nn.SiLU(),
        nn.Conv3d(8, CLASSES, 1),
    )
    training = trainer(phantom, config, net=net)
    before, _ = training.validate()
    reports = run(training)
    assert reports[1].loss < reports[0].loss
    assert reports[1].dice > max(before, 0.1) + 0.15
    assert reports[1].dice_per_class["liver"] > 0.4  # the largest organ


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_every_precision_trains(phantom, precision):
    config = SHORT.model_copy(update={"precision": precision, "epochs": 1})
    report = trainer(phantom, config).run_epoch()
    assert math.isfinite(report.loss)
