"""Several processes train one network: through Ray Train, on CPUs."""

import json
import os
import warnings
from types import SimpleNamespace

import psutil
import pytest
import torch
from ray.exceptions import OutOfMemoryError, WorkerCrashedError
from ray.util.queue import Empty

from nas.config.resources import Resources
from nas.engine.data_parallel import Workers, _Ended, data_parallel, fit, share
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


def test_workers_take_what_a_trial_takes_and_are_where_it_may_be(monkeypatch, tmp_path):
    nodes = [
        Machine("a", {"CPU": 8, "GPU": 2, "scratch": 2}, {"role": "trainer"}),
        Machine("b", {"CPU": 64, "GPU": 8, "scratch": 8}),
    ]
    like = Resources(gpus=1, custom={"scratch": 1}, labels={"role": "trainer"})
    wanted = share(nodes, 2, like)
    assert (wanted.cpus, wanted.custom, wanted.labels) == (4, like.custom, like.labels)
    made = {}

    class Trainer:
        def __init__(self, *_, **options):
            made.update(options)

        def fit(self):
            pass

    monkeypatch.setattr("nas.engine.data_parallel.TorchTrainer", Trainer)
    fit({}, 2, wanted, tmp_path)
    scaling = made["scaling_config"]
    assert scaling.resources_per_worker == {"CPU": 4, "GPU": 1, "scratch": 1}
    assert scaling.label_selector == {"role": "trainer"}


class Run:
    """Stands for Ray, whose task has ended at the third look, and for its queue."""

    def __init__(self, told):
        self.told, self.looks = told, 0
        self.remote = self.options = lambda *_, **__: self

    def wait(self, running, timeout):
        self.looks += 1
        return (running, []) if self.looks > 2 else ([], running)

    def get(self, *_, timeout=None):
        if timeout is None:
            return None  # the task's
        if self.looks < 3:
            raise Empty
        return self.told.pop()

    def empty(self):
        return not self.told

    def shutdown(self, force):
        pass


def test_time_goes_on_while_workers_say_nothing(monkeypatch, tmp_path):
    run, ticks = Run([_Ended("outcome")]), []
    monkeypatch.setattr("nas.engine.data_parallel.ray", run)
    monkeypatch.setattr(Workers, "_queue", lambda self: run)
    job = SimpleNamespace(checkpoint=tmp_path / "a.pt")
    outcome = Workers(2, Resources(), "0" * 56)(job, print, lambda: ticks.append(1))
    assert outcome == "outcome" and len(ticks) == 3


def test_workers_whose_memory_ran_out_begin_again(monkeypatch, tmp_path):
    queues, left = [], [OutOfMemoryError("low on memory"), WorkerCrashedError()]

    def run(self, job, report, tick, queue, records):
        queues.append(queue)
        if left:
            raise left.pop()
        return "outcome"

    monkeypatch.setattr(Workers, "_fit", run)
    monkeypatch.setattr(Workers, "_queue", lambda self: Run([]))
    job = SimpleNamespace(checkpoint=tmp_path / "a.pt")
    with pytest.warns(UserWarning, match="begins again at the last epoch"):
        assert Workers(2, Resources(), "0" * 56)(job, print) == "outcome"
    assert len({id(queue) for queue in queues}) == 3  # one may have been what was lost


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
