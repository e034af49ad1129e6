"""The prober of this machine, with real processes."""

import json
import os
import signal
import subprocess
import sys
from contextlib import closing
from fcntl import LOCK_NB, LOCK_SH, LOCK_UN, flock
from threading import Thread
from time import sleep

import numpy as np
import psutil
import pytest

from nas.cost.latency import Latency, LatencyConfig
from nas.cost.latency_probe import Failure, ProbeTask, Trained, child_main
from nas.cost.latency_probe.machine_lock import MachineLock, lock_name
from nas.engine.open_prober import open_prober
from nas.search.remeasure_front import wait_for
from search_spaces.registry import all_spaces, find_space
from trainers.checkpoint import write_checkpoint

QUICK = LatencyConfig(patch=(8, 8, 8), warmup=1, repeats=3, seconds=0.01, timeout=60)
TASK = ProbeTask(channels=1, classes=2, latency=QUICK, device="cpu")
TOY = """
import os, signal, time
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from search_spaces.space import Architecture, SearchSpace, choice


class Faulty(nn.Module):
    def __init__(self, inner, fault):
        super().__init__()
        self.inner, self.fault, self.passes = inner, fault, 0

    def forward(self, x):
        os.write(1, b"what libraries print")
        self.passes += 1
        if self.passes > 2 and self.fault == "kill":  # the first passes are no timing
            os.kill(os.getpid(), signal.SIGKILL)
        if self.passes > 2 and self.fault == "hang":
            time.sleep(600)
        return self.inner(x)


@dataclass(frozen=True, kw_only=True)
class Toy(Architecture):
    space: ClassVar[str] = "toy"

    fault: str = choice("none", "memory", "kill", "hang", doc="what goes wrong")

    def stride(self):
        return 1

    def build(self, in_channels, out_channels):
        if self.fault == "memory":
            torch.empty(2**60)
        return Faulty(nn.Conv3d(in_channels, out_channels, 3, padding=1), self.fault)


SPACE = SearchSpace(name="toy", kind=Toy, presets=lambda: {})
"""


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """A toy network of the fault given, from a package as pip would have installed it."""
    folder = tmp_path_factory.mktemp("toy")
    (folder / "toy_networks.py").write_text(TOY)
    facts = folder / "toy_networks-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-networks\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text("[segnas.spaces]\ntoy = toy_networks:SPACE\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        all_spaces.cache_clear()
        yield lambda fault="none": find_space("toy").from_json({"fault": fault})
    all_spaces.cache_clear()


def test_a_real_process_measures_waits_fails_and_is_replaced(toy, tmp_path):
    task = ProbeTask(
        channels=1, classes=2, latency=QUICK, device="cpu", machine_lock=lock_name(tmp_path)
    )
    lock = MachineLock.named(task.machine_lock)
    others = set(psutil.Process().children())
    with closing(open_prober(task)) as prober:
        conditions = prober.conditions()
        (child,) = set(psutil.Process().children()) - others
        assert (conditions.shape, conditions.threads) == ((1, 1, 8, 8, 8), 1)

        with lock.shared():
            prober.submit([toy(), toy()])
            with lock._turnstile.open() as turnstile:
                while _flock_free(turnstile):
                    sleep(0.05)
            assert prober.poll(0.5) is None
        latencies = wait_for(prober)
        assert [latency.conditions for latency in latencies] == [conditions] * 2
        assert all(0 < latency.p50_ms <= latency.p99_ms for latency in latencies)

        prober.submit([toy("memory")])
        (failure,) = wait_for(prober)
        assert failure.reason.startswith("latency: out of memory: ")
        assert not child.is_running()

        prober.submit([toy("kill")])
        assert wait_for(prober) == [Failure("latency: crashed (SIGKILL)")]
    assert set(psutil.Process().children()) <= others
    lock.remove()


def test_the_time_of_an_export_does_not_begin_while_it_waits_for_the_machine(tmp_path):
    task = TASK.model_copy(update={"machine_lock": lock_name(tmp_path)})
    lock, told = MachineLock.named(task.machine_lock), []
    request = {"export": {"space": "none"}, "to": str(tmp_path / "network.onnx")}
    export = Thread(target=child_main._answer, args=(task, request, lambda **m: told.append(m)))
    with lock.exclusive():
        export.start()
        export.join(0.3)
        assert export.is_alive() and told == [{"stage": "wait"}]
    export.join()
    assert [*map(list, told)] == [["stage"], ["stage", "index"], ["failed"]]
    lock.remove()


def test_trained_networks_are_measured_on_windows_and_weights_that_do_not_fit_are_their_own_fault(
    tmp_path,
):
    network = find_space("hybrid").presets()["hybrid-xs"]
    fitting, other = tmp_path / "fitting.pt", tmp_path / "other.pt"
    write_checkpoint(fitting, {"weights": network.build(1, 2).state_dict()})
    write_checkpoint(other, {"weights": network.build(1, 3).state_dict()})
    np.save(tmp_path / "windows.npy", np.zeros((3, 1, 1, 16, 16, 16), np.float32))
    larger = QUICK.model_copy(update={"patch": (16, 16, 16)})
    with closing(open_prober(TASK.model_copy(update={"latency": larger}))) as prober:
        trained = Trained([fitting, other, None], tmp_path / "windows.npy")
        prober.submit([network] * 3, trained)
        first, failure, drawn = wait_for(prober)
        prober.submit([network])
        (noise,) = wait_for(prober)
    assert (first.windows, drawn.windows, noise.windows) == (3, 3, None)
    assert "other.pt holds another network's weights" in failure.reason
    assert "windows" not in noise.to_json()


def test_a_process_that_has_measured_has_imported_no_more_than_it_needs(monkeypatch):
    monkeypatch.setenv("PYTHONPROFILEIMPORTTIME", "1")  # the process prints what it imports
    larger = QUICK.model_copy(update={"patch": (16, 16, 16)})  # 8 of them are the network's stride
    with closing(open_prober(TASK.model_copy(update={"latency": larger}))) as prober:
        prober.submit([find_space("hybrid").presets()["hybrid-xs"]])
        (latency,) = wait_for(prober)
        assert isinstance(latency, Latency)
        printed = prober._child._printed
        printed.seek(0)
        lines = printed.read().decode().splitlines()
    imported = {line.rpartition("|")[2].strip() for line in lines if line.startswith("import time")}
    assert "torch" in imported
    unused = {"matplotlib", "mlflow", "monai", "nibabel", "optuna", "ray", "scipy", "thop"}
    assert not unused & imported


def _flock_free(file):
    """Whether nobody holds the file for itself."""
    try:
        flock(file, LOCK_SH | LOCK_NB)
    except BlockingIOError:
        return False
    flock(file, LOCK_UN)
    return True


@pytest.mark.slow
def test_only_the_network_that_hangs_times_out(toy):
    short = QUICK.model_copy(update={"timeout": 3.0})
    task = ProbeTask(channels=1, classes=2, latency=short, device="cpu")
    with closing(open_prober(task)) as prober:
        prober.submit([toy(), toy("hang")])
        latency, failure = wait_for(prober)
    assert isinstance(latency, Latency)
    assert failure == Failure("latency: timed out after 3 s")


PARENT = """
import json, sys
from pathlib import Path
from nas.cost.latency_probe import ProbeTask
from nas.engine.open_prober import open_prober
from search_spaces.registry import find_space

prober = open_prober(ProbeTask.from_json(json.loads(sys.argv[1])))
prober.conditions()
prober.submit([find_space("toy").from_json({"fault": "hang"})])
prober.poll(0.5)
print("under way", flush=True)
prober.poll(600)
prober.poll(600)
"""


@pytest.mark.slow
def test_the_process_ends_with_a_parent_that_is_killed(toy):
    task = json.dumps(TASK.to_json())
    path = {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, task], stdout=subprocess.PIPE, env=os.environ | path
    ) as parent:
        parent.stdout.readline()
        (child,) = psutil.Process(parent.pid).children()
        os.kill(child.pid, signal.SIGINT)  # that of the terminal is the search's
        sleep(0.2)
        assert child.is_running()
        parent.kill()
        child.wait(timeout=20)
