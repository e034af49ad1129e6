"""Several processes train one network: through Ray Train, on CPUs."""

import json
import os
import warnings

import psutil
import pytest
import torch

from nas.engine.data_parallel import data_parallel, share
from nas.engine.slots import Machine
from nas.export.retrain import Plan, retrain
from tests.nas.exports import opened, weights_in, write_export
from trainers.errors import TrainingDivergedError, UserError

# The Dice of a whole batch is not the mean of its parts' Dice; cross-entropy is.
MEANS = {"loss": {"dice": 0.0}, "batch": 4, "augment": {"flips": [0, 1], "noise": 0.1}}
GENTLE = {"learning_rate": 1e-3}  # AdamW makes a large step of what is nothing but rounding


def machine(name="a", **resources):
    return Machine(name, resources)


def test_workers_share_the_cpus():
    wanted = share([machine(CPU=7)], 2)
    assert (wanted.cpus, wanted.gpus) == (3, 0)


def test_where_there_are_gpus_each_worker_gets_one():
    wanted = share([machine(CPU=64, GPU=2), machine("b", CPU=4, GPU=1)], 3)
    assert (wanted.cpus, wanted.gpus) == (4, 1)


def test_too_many_workers_are_refused_with_what_there_is():
    with pytest.raises(UserError, match=r"--workers 3: each takes a GPU and a CPU.* room for 2 on"):
        share([machine(CPU=64, GPU=2)], 3)
    with pytest.raises(UserError, match=r"--workers 3: each takes a CPU.* expected 2 or fewer"):
        share([machine(CPU=2)], 3)


@pytest.fixture
def make(tmp_path, phantom_folder, phantom):
    """Writes exports of one network, by name."""
    _, cases = phantom

    def write(name, **options):
        return write_export(tmp_path / name, phantom_folder, cases, **{**MEANS, **options})

    return write


@pytest.fixture
def together(make, monkeypatch):
    """Two workers, also on a machine of one CPU."""
    monkeypatch.setattr("nas.engine.data_parallel.this_machine", lambda: machine(CPU=2))

    def train(folder, plan=None, report=None):
        with data_parallel(2, None, folder) as by:
            return retrain(
                opened(folder),
                plan or Plan(workers=2),
                report or (lambda *_: None),
                train=by,
            )

    return train


def alone(folder, report=None, **plan):
    return retrain(opened(folder), Plan(**plan), report or (lambda *_: None))


@pytest.mark.slow
def test_two_workers_make_the_steps_of_one(make, together):
    refined = {"ema": 0.5, "deep_supervision": True, **GENTLE}
    one, two = make("one", **refined), make("two", **refined)
    expected, told = alone(one), []
    done = together(two, report=lambda epoch, *_: told.append(epoch))
    assert [epoch.epoch for epoch in told] == [1, 2]
    ours, theirs = weights_in(two / "retrained.pt"), weights_in(one / "retrained.pt")
    new = opened(one).build().state_dict()
    close(ours, theirs)
    assert any((weight - new[name]).abs().max() > 1e-3 for name, weight in theirs.items())
    assert done.dice == pytest.approx(expected.dice, abs=0.01)
    assert json.loads((two / "retrained.json").read_text())["workers"] == 2
    assert not [path.name for path in two.iterdir() if path.name.startswith((".", "retraining"))]


def close(ours, theirs):
    for name, weight in theirs.items():
        torch.testing.assert_close(ours[name], weight, atol=2e-5, rtol=1e-3)


@pytest.mark.slow
def test_a_worker_that_is_lost_costs_an_epoch_at_most(make, together):
    one, two = make("one", **GENTLE, epochs=3), make("two", **GENTLE, epochs=3)
    alone(one)
    killed, told = [], []

    def kill(epoch, *_):
        told.append(epoch.epoch)
        if not killed:
            mine = psutil.Process(os.getpid()).children(recursive=True)
            killed.append(next(p for p in mine if "RayTrainWorker" in " ".join(p.cmdline())))
            killed[0].kill()

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        together(two, report=kill)
    assert any("begins again at the last epoch" in str(warning.message) for warning in said)
    assert told[0] == 1 and told[-1] == 3
    close(weights_in(two / "retrained.pt"), weights_in(one / "retrained.pt"))


@pytest.mark.slow
def test_folds_begun_by_two_workers_are_ended_by_one(make, together):
    one, two = make("one", **GENTLE), make("two", **GENTLE)
    alone(one, folds=2)

    def stop(epoch, _, which):
        if which == "fold 2/2":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        together(two, Plan(folds=2, workers=2), stop)
    told = []
    alone(two, lambda epoch, _, which: told.append(which), folds=2)
    assert set(told) <= {"fold 2/2"}  # the first one was finished
    for n in (1, 2):
        close(*(weights_in(f / "folds" / f"fold-{n}.pt") for f in (two, one)))


@pytest.mark.slow
def test_a_worker_that_diverges_says_so_once(make, together):
    with pytest.raises(TrainingDivergedError, match=r"in epoch 1|after epoch 1"):
        together(make("out", learning_rate=1e30, warmup=0.0))
