"""The prober on another node, with a real Ray."""

import os
import signal
from contextlib import closing, contextmanager
from types import SimpleNamespace

import psutil
import pytest
import ray
from ray.cluster_utils import Cluster

from nas.cost.failure import AwayError
from nas.cost.latency import Latency, LatencyConfig
from nas.cost.latency_probe import ProbeTask, Trained
from nas.engine.cluster import QUIET
from nas.engine.open_prober import open_prober
from nas.engine.remote_latency_probe import Parcel, RemoteProber, _options
from nas.search.remeasure_front import wait_for
from search_spaces.registry import find_preset
from tests.nas.probers import CONDITIONS, latency
from trainers.errors import UserError

NETWORK = find_preset("hybrid-s")
TASK = ProbeTask(
    channels=1,
    classes=2,
    latency=LatencyConfig(
        patch=(32, 32, 32), warmup=0, repeats=3, seconds=0.01, resources={"probe": 1}
    ),
    device="cpu",
)


@contextmanager
def running(monkeypatch, **options):
    for name, value in QUIET.items():
        monkeypatch.setenv(name, value)
    quiet = {"include_dashboard": False, "log_to_driver": False, "logging_level": "ERROR"}
    ray.init("local", **quiet, **options)  # also where a cluster of this machine is known
    try:
        yield
    finally:
        ray.shutdown()


def test_resources_that_no_node_has_are_refused_by_name(monkeypatch):
    with running(monkeypatch, num_cpus=2, num_gpus=0, resources={"other": 3}):
        message = r"latency.resources = \{probe: 1\}: no node .* offers that; it has \{.*other: 3"
        with pytest.raises(UserError, match=message):
            open_prober(TASK)


def test_cpus_and_gpus_are_taken_only_where_they_are_named():
    assert _options({"probe": 1}) == {
        "num_cpus": 0,
        "num_gpus": 0,
        "memory": None,
        "resources": {"probe": 1},
    }
    assert _options({"GPU": 1, "CPU": 2, "a100": 0.5}) == {
        "num_cpus": 2,
        "num_gpus": 1,
        "memory": None,
        "resources": {"a100": 0.5},
    }


def test_files_of_trained_networks_travel_as_they_are(tmp_path):
    (tmp_path / "a.pt").write_bytes(b"weights")
    (tmp_path / "w.npy").write_bytes(b"windows")
    parcel = Parcel.of(Trained([tmp_path / "a.pt", None], tmp_path / "w.npy"))
    (there := tmp_path / "there").mkdir()
    arrived = parcel.unpack(there)
    first, second = arrived.weights
    assert (first.read_bytes(), second, arrived.windows.read_bytes()) == (
        b"weights",
        None,
        b"windows",
    )
    assert first.parent == arrived.windows.parent == there


def test_figures_of_another_machine_are_refused(monkeypatch):
    """Two nodes offer the resources, and a new actor may find itself on either."""
    figures = [latency(5.0), latency(6.0, "another machine")]
    calls = SimpleNamespace(
        conditions=SimpleNamespace(remote=lambda: CONDITIONS),
        measure=SimpleNamespace(remote=lambda *_: [figures.pop(0)]),
    )
    module = "nas.engine.remote_latency_probe"
    monkeypatch.setattr(f"{module}.RemoteProber._look", lambda _: None)
    monkeypatch.setattr(f"{module}.RemoteProber._started", lambda _: calls)
    monkeypatch.setattr(f"{module}.ray.wait", lambda pending, timeout: (pending, []))
    monkeypatch.setattr(f"{module}._take", lambda answer: answer)
    prober = RemoteProber(TASK)
    assert prober.conditions() == CONDITIONS
    prober.submit([NETWORK])
    assert [one.p50_ms for one in prober.poll()] == [5.0]
    prober.submit([NETWORK])
    told = r"resources = \{probe: 1\}: .* now is another machine .* it was a machine \(Linux\)"
    with pytest.raises(AwayError, match=told):
        prober.poll()


@pytest.mark.slow
def test_the_actor_measures_is_replaced_when_lost_and_passes_errors_on(monkeypatch):
    with running(monkeypatch, num_cpus=0, num_gpus=0, resources={"probe": 1}):
        with closing(open_prober(TASK)) as prober:
            conditions = prober.conditions()
            prober.submit([NETWORK, NETWORK])
            with pytest.raises(RuntimeError, match="under way"):
                prober.submit([NETWORK])
            latencies = wait_for(prober)
            assert [latency.conditions for latency in latencies] == [conditions] * 2

            prober.submit([NETWORK])
            assert prober.poll() is None
            os.kill(actor().pid, signal.SIGKILL)
            (latency,) = wait_for(prober)
            assert isinstance(latency, Latency)

            monkeypatch.setattr("nas.engine.remote_latency_probe.LOSSES", 1)
            prober.submit([NETWORK])
            os.kill(actor().pid, signal.SIGKILL)
            (failure,) = wait_for(prober)
            assert failure.reason.startswith("latency: the probe was lost 1 times: ")

        nowhere = TASK.latency.model_copy(update={"device": "cuda:99"})
        with (
            closing(open_prober(ProbeTask(**{**vars(TASK), "latency": nowhere}))) as prober,
            pytest.raises(UserError, match=r"^latency\.device = cuda:99"),
        ):
            prober.conditions()


@pytest.mark.slow
def test_the_node_that_has_the_resources_measures_until_it_is_gone(monkeypatch):
    for name, value in QUIET.items():
        monkeypatch.setenv(name, value)
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "num_gpus": 0})
    try:
        ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
        with pytest.raises(UserError, match="no node"):
            open_prober(TASK)
        node = cluster.add_node(num_cpus=0, num_gpus=0, resources={"probe": 1})
        cluster.wait_for_nodes()
        with closing(open_prober(TASK)) as prober:
            prober.submit([NETWORK])
            (latency,) = wait_for(prober)
            assert isinstance(latency, Latency)

            prober.submit([NETWORK])
            cluster.remove_node(node, allow_graceful=False)
            with pytest.raises(UserError, match="no node"):
                wait_for(prober)
    finally:
        ray.shutdown()
        cluster.shutdown()


def actor():
    """The actor's process, once there is one."""
    while True:
        for process in psutil.Process().children(recursive=True):
            if process.status() != psutil.STATUS_ZOMBIE and "ray::_Probe" in process.cmdline()[0]:
                return process
