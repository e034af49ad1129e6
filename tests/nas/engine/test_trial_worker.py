"""The worker, in this process and in others that hang; Ray itself is in test_engine."""

import json
import math
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn

from nas.cost.latency_probe.machine_lock import MachineLock
from nas.engine.train_from_scratch import TrainFromScratch
from nas.engine.trial_files import TrialFiles
from nas.engine.trial_worker import TrialWorker, WorkerSettings
from search_spaces.hybrid import Hybrid
from search_spaces.registry import architecture_record
from trainers.checkpoint import read_checkpoint
from trainers.config import TrainConfig
from trainers.step import CaptureMark

TINY = Hybrid(width=4)
TRAIN = TrainConfig(patch=(24, 24, 24), epochs=2, steps_per_epoch=2)


@pytest.fixture
def search(phantom, tmp_path):
    """Makes the folder of a search, and returns the task of its first candidate."""

    def make(stall_minutes=30.0):
        cache, cases = phantom
        (tmp_path / "split.json").write_text(cases.to_json())
        return task("first", (str(tmp_path), str(cache.folder), tmp_path.name, stall_minutes))

    yield make
    MachineLock.named(tmp_path.name).remove()


def task(key, search=None):
    """The config of a worker; without what all share, that of a further candidate."""
    record = json.dumps(architecture_record(TINY))
    return {"key": key, "record": record} | ({"settings": settings(*search)} if search else {})


def settings(directory, volumes, machine_lock, stall_minutes):
    return WorkerSettings(
        directory=Path(directory),
        volumes=Path(volumes),
        machine_lock=machine_lock,
        evaluator=TrainFromScratch(TRAIN, 0, "cpu"),
        stall_minutes=stall_minutes,
    )


def elsewhere(task, node):
    """The same task where the search runs on that node."""
    return task | {"settings": replace(task["settings"], driver_node=node)}


class Faulty(nn.Conv3d):
    """Its forward pass is the given one, in training."""

    def __init__(self, fault):
        super().__init__(1, 4, 1)
        self.fault = fault

    def forward(self, x):
        x = super().forward(x)
        return self.fault(x) if self.training else x


def raises(x):
    raise ValueError("shapes differ")


FAULTS = {
    "ValueError: shapes differ": raises,
    "diverged: the loss is nan": lambda x: x * math.nan,
    "out of memory: ": lambda x: torch.empty(2**58),
}


@pytest.mark.parametrize("reason", FAULTS)
def test_a_worker_is_used_again_after_a_candidate_that_failed(
    search, tmp_path, monkeypatch, reason
):
    worker = TrialWorker(search())
    with monkeypatch.context() as patch:
        patch.setattr(Hybrid, "build", lambda *_: Faulty(FAULTS[reason]))
        failed = worker.step()
    assert failed["report"].done
    assert failed["report"].reason.startswith(reason)
    assert worker.reset_config(task("second"))
    first, last = worker.step(), worker.step()
    assert (first["report"].done, last["report"].done) == (False, True)
    assert last["report"].reason is None
    assert read_checkpoint(tmp_path / "checkpoints" / "second.pt")["training"]["epoch"] == 2


def test_nothing_but_the_checkpoint_is_left_of_a_step(search, tmp_path):
    TrialWorker(search()).step()
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["first.pt"]


def test_a_candidate_whose_worker_hung_goes_on(search, tmp_path):
    first = search()
    TrialWorker(first).step()
    trace = tmp_path / "checkpoints" / "first.hang.txt"
    trace.write_text("Timeout!")
    report = TrialWorker(first).step()["report"]
    assert (report.epoch, report.reason) == (2, None)
    assert not trace.exists()


def test_a_candidate_whose_worker_was_killed_goes_on(search, tmp_path):
    first = search()
    TrialWorker(first).step()
    (tmp_path / "checkpoints" / "first.hang.txt").touch()
    assert TrialWorker(first).step()["report"].epoch == 2


def test_a_repeat_is_trained_with_its_own_seed_and_beside_the_first(search, tmp_path):
    first = search()
    losses = [TrialWorker(first).step()["report"].loss]
    reseeded = {"settings": replace(first["settings"], evaluator=TrainFromScratch(TRAIN, 7, "cpu"))}
    losses.append(TrialWorker(first | reseeded | {"key": "other"}).step()["report"].loss)
    makes = partial(_training, device="cpu")
    repeats = {"settings": replace(first["settings"], reseeded=makes)}
    worker = TrialWorker(first | repeats | {"key": "first-seed7", "seed": 7})
    losses.append(worker.step()["report"].loss)
    assert losses[1] == losses[2] != losses[0]
    assert {path.stem for path in (tmp_path / "checkpoints").glob("first*.pt")} == {
        "first",
        "first-seed7",
    }
    worker.reset_config(task("third"))
    assert worker._seed is None


def _training(seed, device):
    return TrainFromScratch(TRAIN, seed, device)


@pytest.mark.parametrize("keep", [True, False])
def test_an_ended_trial_leaves_no_word_of_a_failed_capture(tmp_path, keep):
    files = TrialFiles(tmp_path, 30)
    mark = CaptureMark.beside(files.checkpoint("first"))
    mark.write("it broke")
    files.tidy("first", keep=keep)
    assert mark.reason is None


def test_only_workers_on_other_machines_copy_the_volumes(search, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    first = search()
    monkeypatch.setattr("ray.get_runtime_context", lambda: Here("this"))
    assert (
        TrialWorker(elsewhere(first, "this"))._workspace.cache.folder == first["settings"].volumes
    )
    copied = TrialWorker(elsewhere(first, "other"))
    assert copied._workspace.cache.folder.parent.parent == tmp_path
    assert copied.step()["report"].epoch == 1


def test_the_first_report_says_that_the_volumes_could_not_be_copied(search, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("nas.engine.node_cache.SPARE", 2**60)
    monkeypatch.setattr("ray.get_runtime_context", lambda: Here("this"))
    worker = TrialWorker(elsewhere(search(), "other"))
    assert "MiB are needed" in worker.step()["report"].warning
    assert worker.step()["report"].warning is None


class Here:
    def __init__(self, node):
        self.node = node

    def get_node_id(self):
        return self.node


CHILD = """
import ctypes, json, sys, time
from nas.engine.train_from_scratch import TrainFromScratch
from nas.engine.trial_worker import TrialWorker, WorkerSettings
from search_spaces.hybrid import Hybrid
from tests.nas.engine.test_trial_worker import Faulty, task

def hangs(x):
    ctypes.PyDLL(None).sleep(120)  # and holds the GIL

def works(x):
    print("step", flush=True)
    time.sleep(3)
    return x

Hybrid.build = lambda *_: Faulty(globals()[sys.argv[2]])
search = json.loads(sys.argv[1])
print(TrialWorker(task("first", search)).step()["report"].epoch, flush=True)
"""


def child(first, how):
    shared = first["settings"]
    values = [str(shared.directory), str(shared.volumes), shared.machine_lock]
    search = json.dumps([*values, shared.stall_minutes])
    command = [sys.executable, "-c", CHILD, search, how]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_a_worker_in_a_step_that_never_ends_dies(search, tmp_path):
    first = search(stall_minutes=0.25)
    with child(first, "hangs") as process:
        assert process.wait(120) == 1
    told = TrialFiles(tmp_path, 0.25).hang("first")
    assert told == "hung: no training step ended for 0.25 min, see checkpoints/first.hang.txt"
    assert "in hangs" in (tmp_path / "checkpoints" / "first.hang.txt").read_text()


@pytest.mark.slow
def test_a_worker_that_waits_for_a_measurement_does_not_hang(search):
    first = search(stall_minutes=0.25)
    with child(first, "works") as process:
        assert process.stdout.readline() == "step\n"
        with MachineLock.named(first["settings"].machine_lock).exclusive():
            time.sleep(20)
            assert process.poll() is None
        assert process.stdout.read() == "step\n1\n"
