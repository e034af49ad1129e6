"""What the processes of a search import, and when; they are real ones."""

import os
from time import sleep

import psutil
import pytest
import ray

from nas.config.resources import Resources
from nas.cost.latency_probe.machine_lock import MachineLock
from nas.engine.cluster import Cluster
from nas.engine.train_from_scratch import TrainFromScratch
from nas.engine.trial_worker import WorkerSettings
from nas.engine.tune_run import run_trials
from nas.engine.worker_environment import MACHINE_LOCK, worker_environment
from search_spaces.hybrid import Hybrid
from search_spaces.registry import architecture_record
from tests.processes import printed_by
from trainers.config import TrainConfig

from .test_tune_run import Script
from .workers import Listing

UNUSED = {"matplotlib", "mlflow", "monai", "nibabel", "optuna", "scipy", "thop"}
RESOURCES = Resources(cpus=2, concurrent=1, niceness=1)
TRAIN = TrainConfig(patch=(24, 24, 24), epochs=1, steps_per_epoch=1)

# Whether the probe could measure when torch is imported, and afterwards.
WATCHED = """
import fcntl, sys
from nas.cost.latency_probe.machine_lock import MachineLock

room = open(MachineLock.named(sys.argv[1])._room, "w")

def told():
    try:
        fcntl.flock(room, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return "held"
    fcntl.flock(room, fcntl.LOCK_UN)
    return "free"

class Watch:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            print(told())

sys.meta_path.insert(0, Watch())
import nas.engine.worker_imports
print(told())
"""


@pytest.fixture
def lock_name(tmp_path):
    yield tmp_path.name
    MachineLock.named(tmp_path.name).remove()


def test_workers_import_within_the_machine_lock(lock_name):
    with worker_environment(1, 0, lock_name):
        assert printed_by(WATCHED, lock_name).split() == ["held", "free"]


def test_a_lock_that_cannot_be_trusted_ends_no_process(lock_name):
    MachineLock.named(lock_name)._room.mkdir()
    with worker_environment(1, 0, lock_name):
        program = "import nas.engine.worker_imports, sys; print('torch' in sys.modules)"
        printed = printed_by(program)
    MachineLock.named(lock_name)._room.rmdir()
    assert printed == "False\n"


def test_a_process_that_has_imported_has_not_looked_for_a_gpu(lock_name):
    """Which one a worker has, CUDA reads once, and Ray says only when a trial begins."""
    program = (
        "import torch\n"
        "def looked(*_): raise AssertionError('looked for a GPU')\n"
        "torch.cuda.is_available = torch.cuda.device_count = torch.cuda.init = looked\n"
        "import nas.engine.worker_imports"
    )
    with worker_environment(1, 0, lock_name):
        printed_by(program)


def test_the_environment_is_left_as_it_was(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    before = dict(os.environ)
    with worker_environment(2, 7, "lock"):
        assert (os.environ["OMP_NUM_THREADS"], os.environ[MACHINE_LOCK]) == ("3", "lock")
    assert os.environ == before
    monkeypatch.delenv("OMP_NUM_THREADS")
    with worker_environment(2, 7, None):
        assert os.environ["OMP_NUM_THREADS"] == "2"
    assert "OMP_NUM_THREADS" not in os.environ


class One(Script):
    """A trial of one epoch."""

    def start(self, trial_id):
        candidate = super().start(trial_id)
        if candidate:
            candidate.record = architecture_record(Hybrid(width=4))
        return candidate

    def report(self, trial_id, report):
        self.reports.append(report)
        return False


@pytest.fixture(scope="module")
def trained(phantom, tmp_path_factory):
    """The processes that are there once Ray is started, and the report of a trial of a search."""
    cache, cases = phantom
    folder = tmp_path_factory.mktemp("search")
    (folder / "split.json").write_text(cases.to_json())
    settings = WorkerSettings(
        directory=folder,
        volumes=cache.folder,
        machine_lock=folder.name,
        evaluator=TrainFromScratch(TRAIN, 0, "cpu"),
        stall_minutes=30.0,
    )
    session = One("a")
    with (
        pytest.MonkeyPatch.context() as patch,
        Cluster(RESOURCES, machine_lock=folder.name) as cluster,
    ):
        patch.setenv("RAY_kill_idle_workers_interval_ms", "1")  # it looks at all times
        cluster.start()
        sleep(2.0)  # after one second a process may be ended for being idle
        assert cluster.requested.cpus == ray.cluster_resources()["CPU"] == cluster.slots == 1
        ahead = {process.pid for process in psutil.Process().children(recursive=True)}
        assert run_trials(session, cluster, settings, Listing)
    MachineLock.named(folder.name).remove()
    (report,) = session.reports
    return ahead, report


@pytest.mark.slow
def test_a_trial_is_run_by_a_process_that_ray_started_ahead(trained):
    ahead, report = trained
    assert report.pid in ahead
    assert "trainers.trainer" in report.before


def test_a_process_that_has_trained_has_imported_no_more_than_it_needs(trained):
    _, report = trained
    assert (report.done, report.reason) == (True, None)
    assert "torch" in report.after
    assert not UNUSED & report.after


def test_a_process_has_as_many_threads_as_a_trial_has_cpus(trained):
    assert trained[1].threads == os.environ.get("OMP_NUM_THREADS", "2")


def test_a_process_is_as_nice_as_it_is_told(trained):
    assert trained[1].niceness == 1
