import math

import pytest
import torch
from torch import nn

from nas.config import RunConfig
from nas.evaluation import Evaluation
from search_spaces.hybrid import Hybrid

TINY = Hybrid(width=4)


def config(**changes):
    train = {"patch": [24, 24, 24], "epochs": 2, "steps_per_epoch": 2, "batch": 1}
    values = {
        "name": "test",
        "data": {"source": "phantom"},
        "train": {**train, **changes.pop("train", {})},
    }
    return RunConfig.model_validate({**values, **changes})


@pytest.fixture
def evaluation(phantom, tmp_path):
    """A new evaluation of TINY, or of the network given; all share one checkpoint."""

    def evaluation(run=None, network=None):
        cache, cases = phantom
        started = Evaluation(TINY, run or config(), cache, cases, tmp_path / "tiny.pt")
        if network is not None:
            started._build = lambda: network
        return started

    return evaluation


class Faulty(nn.Module):
    """Raises `error` in training, or in every pass."""

    def __init__(self, error, always=False):
        super().__init__()
        self.layer, self.error, self.always = nn.Conv3d(1, 4, 1), error, always

    def forward(self, x):
        if self.training or self.always:
            raise self.error
        return self.layer(x)


def test_every_step_is_an_epoch_and_the_last_one_is_done(evaluation, phantom):
    run = evaluation()
    first, last = run.advance(), run.advance()
    assert (first.epoch, first.done, last.epoch, last.done) == (1, False, 2, True)
    assert last.reason is None
    assert last.curve == (first.dice, last.dice)
    assert tuple(last.dice_per_class) == phantom[0].classes[1:]
    assert last.seconds > 0


def test_the_same_seed_gives_the_same_curve(evaluation, tmp_path):
    losses = []
    for _ in range(2):
        run = evaluation()
        losses.append([run.advance().loss, run.advance().loss])
        (tmp_path / "tiny.pt").unlink()
    assert losses[0] == losses[1]


def test_a_new_worker_goes_on_from_the_checkpoint(evaluation, tmp_path):
    whole = evaluation()
    expected = [whole.advance().loss, whole.advance().loss]
    (tmp_path / "tiny.pt").unlink()
    evaluation().advance()
    last = evaluation().advance()
    assert (last.epoch, last.done, len(last.curve)) == (2, True, 2)
    assert last.loss == expected[1]


def test_a_finished_training_whose_report_was_lost_is_not_trained_again(evaluation):
    run = evaluation()
    run.advance()
    expected = run.advance()
    again = evaluation().advance()
    assert (again.done, again.dice, again.epoch) == (True, expected.dice, 2)
    assert again.curve == expected.curve


def test_a_damaged_checkpoint_is_dropped(evaluation, tmp_path):
    (tmp_path / "tiny.pt").write_bytes(b"half a file")
    assert evaluation().advance().epoch == 1


def test_a_loss_that_is_no_number_ends_with_its_reason(evaluation):
    class NotANumber(nn.Conv3d):
        def forward(self, x):
            return super().forward(x) * math.nan

    report = evaluation(network=NotANumber(1, 4, 1)).advance()
    assert report.done
    assert report.reason.startswith("diverged: the loss is nan")
    assert report.dice is None


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried 2 GiB\nmore"), "out of memory: CUDA"),
        (RuntimeError("DefaultCPUAllocator: not enough memory"), "out of memory: Default"),
        (MemoryError(), "out of memory: MemoryError"),
        (ValueError("shapes differ"), "ValueError: shapes differ"),
    ],
)
@pytest.mark.parametrize("always", [True, False])
def test_a_network_that_fails_ends_with_its_reason(evaluation, error, reason, always):
    report = evaluation(network=Faulty(error, always)).advance()
    assert report.done
    assert report.reason.startswith(reason)
    assert "\n" not in report.reason


def test_a_full_disk_is_not_the_networks_fault(evaluation):
    with pytest.raises(OSError, match="No space left"):
        evaluation(network=Faulty(OSError("No space left on device"))).advance()
