import math

import pytest
import torch
from torch import nn

from nas.engine import train_from_scratch
from nas.engine.train_from_scratch import given_up
from search_spaces.hybrid import Hybrid
from tests.disk import fill, small_disk
from tests.nas.parts import start_training
from tests.nas.small_run import plain_run
from trainers.checkpoint import keep_weights_only, read_checkpoint, write_checkpoint
from trainers.errors import GpuLostError
from trainers.trainer import Trainer

TINY = Hybrid(width=4)


def config(**changes):
    train = {"patch": [24, 24, 24], "epochs": 2, "steps_per_epoch": 2, "batch": 1}
    return plain_run(**{**changes, "train": {**train, **changes.get("train", {})}})


@pytest.fixture
def evaluation(phantom, tmp_path):
    """A new evaluation of TINY, or of the network given; all share one checkpoint."""

    def evaluation(run=None, network=None):
        cache, cases = phantom
        started = start_training(TINY, run or config(), cache, cases, tmp_path / "tiny.pt")
        if network is not None:
            started._settings.network = lambda *_: network
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


REFINED = {"ema": 0.9, "deep_supervision": True}


def test_a_recipe_with_an_average_and_deep_supervision_is_that_of_a_trainer(evaluation, phantom):
    run = evaluation(config(train=REFINED))
    reports = [run.advance(), run.advance()]
    cache, cases = phantom
    recipe = config(train=REFINED).train
    torch.manual_seed(0)
    network = TINY.build(1, 4)
    trainer = Trainer(network, cache, cases, recipe, device=torch.device("cpu"), seed=0)
    expected = [trainer.run_epoch(), trainer.run_epoch()]
    assert [r.loss for r in reports] == [r.loss for r in expected]
    assert [r.dice for r in reports] == [r.dice for r in expected]
    assert trainer.deployed is not trainer.network
    for off in ({"ema": 0.0}, {"deep_supervision": False}):  # each of them makes a difference
        without = evaluation(config(train=REFINED | off))
        without._checkpoint.unlink()
        first = without.advance()
        assert (first.loss, first.dice) != (reports[0].loss, reports[0].dice)


def test_a_refined_training_goes_on_and_keeps_the_average(evaluation, tmp_path):
    whole = evaluation(config(train=REFINED))
    whole.advance()
    expected = whole.advance()
    kept = read_checkpoint(tmp_path / "tiny.pt")["weights"]
    assert kept.keys() == TINY.build(1, 4).state_dict().keys()
    (tmp_path / "tiny.pt").unlink()
    evaluation(config(train=REFINED)).advance()
    last = evaluation(config(train=REFINED)).advance()
    assert (last.loss, last.dice) == (expected.loss, expected.dice)
    again = read_checkpoint(tmp_path / "tiny.pt")["weights"]
    assert all(torch.equal(kept[name], value) for name, value in again.items())


def test_a_damaged_checkpoint_is_dropped(evaluation, tmp_path):
    (tmp_path / "tiny.pt").write_bytes(b"half a file")
    assert evaluation().advance().epoch == 1


def test_what_holds_weights_only_is_trained_anew(evaluation, tmp_path):
    """As where a journal was put back that does not know of the end."""
    first = evaluation()
    while not first.advance().done:
        pass
    (file,) = tmp_path.rglob("*.pt")
    keep_weights_only(file)
    again = evaluation().advance()
    assert (again.reason, again.epoch) == (None, 1)


@pytest.mark.parametrize("held", [b"half a file", Hybrid(width=4, skip="add")])
def test_a_file_that_does_not_fit_leaves_no_trace_in_the_training(evaluation, tmp_path, held):
    run = config(train={"deep_supervision": True})
    expected = evaluation(run).advance()
    file = tmp_path / "tiny.pt"
    if isinstance(held, Hybrid):
        write_checkpoint(file, {"weights": held.build(1, 4).state_dict()})
    else:
        file.write_bytes(held)
    again = evaluation(run).advance()
    assert (again.epoch, again.loss, again.dice) == (1, expected.loss, expected.dice)


def test_a_network_whose_rates_cannot_decay_ends_with_the_reason(evaluation):
    run = evaluation(config(train={"layer_decay": 0.75}), nn.Conv3d(1, 4, 1))
    assert "Conv3d does not offer the stages of its encoder" in run.advance().reason


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


@pytest.mark.parametrize("error", [OSError("Input/output error"), GpuLostError("lost")])
def test_what_a_fresh_process_may_do_is_not_the_networks_fault(evaluation, error):
    with pytest.raises(type(error), match=str(error)):
        evaluation(network=Faulty(error)).advance()


def test_why_steps_are_eager_is_said_in_the_first_report(evaluation, monkeypatch):
    class Told(Trainer):
        def __init__(self, *args, on_eager, **options):
            super().__init__(*args, on_eager=on_eager, **options)
            on_eager("trained without CUDA graphs")

    monkeypatch.setattr(train_from_scratch, "Trainer", Told)
    run = evaluation()
    assert run.advance().warning == "trained without CUDA graphs"
    assert run.advance().warning is None


class Hungry(nn.Conv3d):
    """Runs out of memory, truly, where a training pass has more than `most` patches."""

    def __init__(self, most=1, good_epochs=0):
        super().__init__(1, 4, 1)
        self.most, self.good_epochs, self.epoch, self.passes = most, good_epochs, 0, []

    def begin_epoch(self, epoch):
        self.epoch = epoch

    def forward(self, x):
        if self.training:
            self.passes.append(len(x))
            if len(x) > self.most and self.epoch >= self.good_epochs:
                torch.empty(2**58)
        return super().forward(x)


def halving(batch=2):
    return config(search={"on_memory": "halve"}, train={"batch": batch})


def test_who_runs_out_of_memory_is_trained_once_more_by_halves(evaluation):
    network = Hungry()
    run = evaluation(halving(), network)
    first, last = run.advance(), run.advance()
    assert (first.epoch, first.accumulate, first.reason) == (1, 2, None)
    assert (last.epoch, last.accumulate, last.done, last.reason) == (2, 2, True, None)
    assert network.passes == [2] + 8 * [1]  # two epochs of two batches


def test_it_goes_on_from_the_last_checkpoint(evaluation):
    run = evaluation(halving(), Hungry(good_epochs=1))
    first, last = run.advance(), run.advance()
    assert (first.accumulate, last.accumulate) == (1, 2)
    assert (last.epoch, last.curve[0], len(last.curve)) == (2, first.dice, 2)


def test_who_runs_out_of_memory_by_halves_ends(evaluation):
    network = Hungry(most=0)
    report = evaluation(halving(), network).advance()
    assert report.reason.startswith("out of memory: ")
    assert report.reason.endswith("(each batch in 2 passes)")
    assert (report.done, report.accumulate, network.passes) == (True, 2, [2, 1])


def test_a_new_worker_does_not_try_the_whole_batch_again(evaluation):
    evaluation(halving(), Hungry()).advance()
    network = Hungry()
    assert evaluation(halving(), network).advance().epoch == 2
    assert network.passes == [1, 1, 1, 1]


def test_a_new_worker_that_runs_out_of_memory_by_halves_ends(evaluation):
    evaluation(halving(), Hungry()).advance()
    network = Hungry(most=0)
    report = evaluation(halving(), network).advance()
    assert report.reason.endswith("(each batch in 2 passes)")
    assert (report.epoch, network.passes) == (1, [1])


class Keeping(Hungry):
    """Runs out of memory where it is told to keep its activations."""

    recompute = None

    def forward(self, x):
        self.most = 0 if self.recompute is False else 2
        return super().forward(x)


def test_who_runs_out_of_memory_by_keeping_activations_goes_by_its_own_rule(
    evaluation, monkeypatch
):
    def keep(network, *others, targets):
        *_, free = others
        network.recompute = False if free else None
        return bool(free)

    monkeypatch.setattr(train_from_scratch, "free_memory", lambda device: 1)
    monkeypatch.setattr(train_from_scratch, "keep_where_it_fits", keep)
    network = Keeping()
    report = evaluation(config(train={"batch": 2}), network).advance()
    assert (report.epoch, report.accumulate, report.reason) == (1, 1, None)
    assert network.passes == [2, 2, 2]  # the first without success


@pytest.mark.parametrize(
    "run", [config(train={"batch": 2}), halving(batch=1)], ids=["not configured", "one patch"]
)
def test_other_candidates_that_run_out_of_memory_end_at_once(evaluation, run):
    network = Hungry(most=0)
    report = evaluation(run, network).advance()
    assert report.reason.startswith("out of memory: ")
    assert (report.accumulate, len(network.passes)) == (1, 1)


def test_a_full_disk_ends_no_training(evaluation, tmp_path):
    with small_disk(tmp_path, 400_000):
        run = evaluation(config(train={"epochs": 3}))
        assert run.advance().warning is None
        before = read_checkpoint(tmp_path / "tiny.pt")["training"]["epoch"]
        fill(tmp_path / "filler")
        second = run.advance()
        assert (second.epoch, second.reason) == (2, None)
        assert second.warning.startswith(f"{tmp_path} cannot be written: No space left on device")
        assert before == read_checkpoint(tmp_path / "tiny.pt")["training"]["epoch"] == 1
        last = run.advance()
        assert (last.epoch, last.done, last.reason) == (3, True, None)
        assert last.warning.endswith("the weights of tiny are lost")
        assert not (tmp_path / "tiny.pt").exists()  # those of epoch 1 have another Dice


def test_what_has_failed_reports_how_far_its_checkpoint_is(evaluation, tmp_path):
    first = evaluation().advance()
    report = given_up("hung", tmp_path / "tiny.pt")
    assert (report.done, report.reason, report.epoch) == (True, "hung", 1)
    assert report.curve == (first.dice,)
    assert 0 < report.earlier <= first.seconds
    assert given_up("hung", tmp_path / "other.pt").epoch == 0


def test_another_process_that_goes_on_reports_the_seconds_before_it(evaluation):
    first = evaluation().advance()
    second = evaluation().advance()
    assert (first.earlier, second.epoch) == (0, 2)
    assert 0 < second.earlier <= first.seconds
