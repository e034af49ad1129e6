"""A supernet trained by several processes: what the stage hears, and that it is the same one."""

import signal
import time
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import torch
from ray.exceptions import OutOfMemoryError
from ray.train import TrainingFailedError

from nas.config.resources import Resources
from nas.engine.attempts import Attempts
from nas.engine.cluster import Cluster
from nas.engine.data_parallel import Workers
from nas.engine.report import Fidelity
from nas.engine.slots import Machine
from nas.engine.supernet.jobs import SupernetJobs
from nas.engine.supernet.train_supernet import SupernetReport, TrainSupernet
from nas.engine.supernet.train_together import (
    SupernetTraining,
    gang,
    gang_size,
    train_supernet,
    train_together,
)
from nas.engine.trial_worker import WorkerSettings
from nas.export.shared_weights import SharedWeights
from nas.pareto.budget import Budget
from nas.search.time_account import TimeAccount
from nas.study.training_cost import TrainingCosts
from search_spaces.hybrid import SPACE
from tests.nas.search.test_supernet_stage import EPOCHS, Stage
from trainers.checkpoint import read_checkpoint
from trainers.config import TrainConfig
from trainers.errors import TrainingDivergedError
from trainers.parallel import Worker

from .test_supernet_jobs import RESTRICT


@pytest.mark.parametrize(
    ("gpus", "batch", "size"), [(1, 8, 1), (4, 8, 4), (3, 8, 2), (8, 2, 2), (0, 2, 1), (7, 7, 7)]
)
def test_as_many_train_together_as_have_a_gpu_and_share_the_batch(gpus, batch, size):
    assert gang_size(gpus, batch) == size


class Ray:
    """A cluster that loses a node with every process, or none."""

    def __init__(self, here=False, dying=False):
        self.here, self.dying, self.starts = here, dying, 0

    def loses_a_node(self):
        return self.dying

    def loses_its_node(self):
        return self.here and self.dying

    def stop(self):
        self.starts += 1

    def start(self):
        """See `driver_node`."""

    @property
    def driver_node(self):
        return f"node {self.starts}"


@dataclass(frozen=True)
class Turns:
    """Processes that do what the next turn says."""

    left: list
    driver_node: str = "node 0"
    nodes: list = field(default_factory=list)

    def __call__(self, training, report, tick):
        self.nodes.append(self.driver_node)
        self.left.pop(0)(report)


def trained(own, *turns, ray=None):
    """The stage once `turns`, one a start of the processes, have been taken."""
    workers = Turns(list(turns))
    train_together(own.stage, workers, None, ray or Ray())
    assert not workers.left and not own.stage.running
    own.nodes = workers.nodes
    return own.stage


def epochs(own, first, last, **found):
    def run(report):
        for epoch in range(first, last + 1):
            report(own.report_of(epoch, **found))

    return run


def lost(run):
    def turn(report):
        run(report)
        frames = 'Traceback (most recent call last):\n  File "x.py", line 1, in save\n    write()'
        raise TrainingFailedError(f"[Rank 0 Error Snippet]:\n{frames}\nOSError: no room")

    return turn


def together(phantom, folder):
    """A training of two epochs in a folder of its own."""
    cache, cases = phantom
    # The Dice of a batch is not the mean of its parts' Dice; cross-entropy is.
    train = TrainConfig(
        patch=(16, 16, 16),
        epochs=2,
        steps_per_epoch=3,
        batch=2,
        optimizer="sgd",  # AdamW makes a large step of what is nothing but rounding
        learning_rate=1e-2,
        loss={"dice": 0.0},
    )
    folder.mkdir(exist_ok=True)
    (folder / "split.json").write_text(cases.to_json())
    sizes = cache.channels, cache.targets.outputs
    jobs = SupernetJobs(
        shared=SharedWeights(SPACE, RESTRICT, *sizes, folder / "supernet" / "supernet.pt"),
        train=train,
        costs=TrainingCosts(train, Resources(), Budget(), *sizes),
        prior={},
        seed=0,
        device="cpu",
        cases=1,
        epochs=2,
        seconds=0.0,
    )
    settings = WorkerSettings(
        directory=folder,
        volumes=cache.folder,
        machine_lock=f"together-{folder.name}",
        evaluator=jobs,
        stall_minutes=1.0,
    )
    return SupernetTraining(settings, cache.folder)


def test_a_stage_goes_on_to_its_scores(tmp_path):
    own = Stage(tmp_path)
    stage = trained(own, epochs(own, 1, EPOCHS))
    assert own.record.trained and not stage.over and own.tracked == [1, 2, 3]
    assert stage.start("a").batch


def test_processes_that_are_lost_begin_again_and_are_given_up_in_the_end(tmp_path):
    own = Stage(tmp_path / "a", retries=1)
    assert not trained(own, lost(epochs(own, 1, 1)), epochs(own, 2, EPOCHS)).failure
    own = Stage(tmp_path / "b", retries=1)
    stage = trained(own, lost(epochs(own, 1, 1)), lost(epochs(own, 2, 2)))
    assert stage.over and "failed 2 times, the last time with OSError: no room" in stage.failure


def test_processes_whose_memory_ran_out_begin_again_and_are_given_up_in_the_end(tmp_path):
    low = "The node is running low on memory. Its usage was 7.9GB used / 8GB limit"

    def killed(report):
        raise OutOfMemoryError(low)

    own = Stage(tmp_path / "a", retries=1)
    assert not trained(own, killed, epochs(own, 1, EPOCHS)).failure and own.record.trained
    stage = trained(Stage(tmp_path / "b", retries=1), killed, killed)
    told = "its machine ran low on memory, 7.9GB used / 8GB, and Ray killed it"
    assert stage.over and f"failed 2 times, the last time with {told}" in stage.failure


def test_processes_that_a_node_takes_along_do_not_count(tmp_path):
    own = Stage(tmp_path, retries=0)
    turns = lost(epochs(own, 1, 1)), lost(epochs(own, 2, 2)), epochs(own, 3, EPOCHS)
    assert not trained(own, *turns, ray=Ray(dying=True)).failure and own.record.trained
    assert own.nodes == ["node 0"] * 3


def test_where_the_only_node_dies_ray_is_started_again(tmp_path):
    """And given up where it dies again and again without an epoch between."""
    ray, own = Ray(here=True, dying=True), Stage(tmp_path / "a", retries=0)
    assert not trained(own, lost(epochs(own, 1, 1)), epochs(own, 2, EPOCHS), ray=ray).failure
    assert own.record.trained and own.nodes == ["node 0", "node 1"]
    own = Stage(tmp_path / "b", retries=1)
    stage = trained(own, *[lost(epochs(own, 1, 0))] * 2, ray=Ray(here=True, dying=True))
    assert "failed 2 times" in stage.failure


def test_its_seconds_are_kept_while_it_runs(tmp_path):
    own, kept = Stage(tmp_path), []
    own.time = own.stage._time = TimeAccount(2, lambda: own.now, before=100.0, keep=kept.append)

    def workers(training, report, tick):
        own.now = 90.0
        tick()
        assert kept == [190.0]

    train_together(own.stage, workers, None, Ray())


def test_once_interrupted_it_ends_with_the_running_epoch(tmp_path):
    own = Stage(tmp_path)

    def run(report):
        signal.raise_signal(signal.SIGINT)
        report(own.report_of(1))
        raise AssertionError("it goes on")

    assert trained(own, run).interrupted and own.stage.over
    assert [told["epoch"] for told in own.record.curve] == [1]


def test_what_cannot_be_trained_and_an_interruption_end_it(tmp_path):
    own = Stage(tmp_path / "a")
    stage = trained(own, epochs(own, 1, EPOCHS, reason="diverged: the loss is nan", done=True))
    assert stage.over and "diverged: the loss is nan" in stage.failure

    def out_of_memory(report):  # in a process that does not report
        raise TrainingDivergedError("out of memory")

    stage = trained(Stage(tmp_path / "c"), out_of_memory)
    assert stage.over and "out of memory" in stage.failure

    def interrupt(report):
        raise KeyboardInterrupt

    own = Stage(tmp_path / "b")
    assert trained(own, interrupt).interrupted and not own.record.trained
    assert Stage(tmp_path / "b").stage.start("a").name == "supernet"


def test_the_first_process_is_watched_also_after_one_that_hung(phantom, tmp_path, monkeypatch):
    """A process that hangs stops all in the sum of their gradients, the first one in a step."""
    training, reports, watched = together(phantom, tmp_path), [], []
    trace = tmp_path / "checkpoints" / "supernet.hang.txt"

    def advance(self):
        watched.append(trace.exists())
        return SupernetReport(done=True)

    monkeypatch.setattr(TrainSupernet, "advance", advance)
    for rank in (0, 1):
        train_supernet(training, reports.append, torch.device("cpu"), Worker(rank, 2))
    assert watched == [True, False] and not trace.exists()
    trace.write_text("Thread 0x1 (most recent call first)")
    train_supernet(training, reports.append, torch.device("cpu"), Worker(0, 2))
    assert reports[-1].reason is None and len(watched) == 3


def test_they_are_where_trials_may_be():
    """Each takes of `custom` what a trial takes, and its node has the labels."""
    resources = Resources(gpus=0.5, custom={"scratch": 1}, labels={"role": "trainer"})
    machines = [
        Machine("a", {"CPU": 8, "GPU": 2, "scratch": 4}, {"role": "trainer"}),
        Machine("b", {"CPU": 8, "GPU": 4, "scratch": 1}, {"role": "trainer"}),
        Machine("c", {"CPU": 8, "GPU": 4, "scratch": 4}),
    ]
    room = sum(machine.room(resources) for machine in machines)
    cluster = SimpleNamespace(slots=room, here=False, driver_node="", machines=lambda: machines)
    workers = gang(cluster, resources, batch=12)
    assert (room, workers.count) == (5, 2)  # of 2.5
    assert workers.wanted.custom == {"scratch": 1} and workers.wanted.labels == resources.labels
    cluster.slots = 12
    assert gang(cluster, resources, batch=12).count == 3  # a GPU of b alone has scratch


def test_a_loss_of_processes_is_one_for_the_stage(monkeypatch):
    """It counts them, and says each."""
    lost = TrainingFailedError("a worker died")
    tries = []

    def fit(self, *_):
        tries.append(1)
        raise lost

    monkeypatch.setattr(Workers, "_fit", fit)
    monkeypatch.setattr(Workers, "_queue", lambda self: SimpleNamespace(shutdown=lambda **_: None))
    cluster = SimpleNamespace(slots=2, here=True, driver_node="")
    workers = gang(cluster, Resources(gpus=1), batch=2)
    with pytest.raises(TrainingFailedError):
        workers(SimpleNamespace(checkpoint=Path("a.pt")), print)
    assert len(tries) == 1


@dataclass(frozen=True)
class Counted:
    """A job whose checkpoint holds the number of its epochs."""

    checkpoint: Path
    volumes: Path


def count_epochs(job, tell, device, worker):
    """Told of the first epoch, it goes on for as long as its node lives."""
    while worker.first and (epoch := int(job.checkpoint.read_text()) + 1) <= EPOCHS:
        fidelity = Fidelity(epoch, shared=True)
        job.checkpoint.write_text(str(epoch))
        tell(SupernetReport(epochs=EPOCHS, fidelity=fidelity, loss=1.0, done=epoch == EPOCHS))
        time.sleep(300 * (epoch == 1))


@pytest.mark.slow
def test_where_rays_one_node_dies_the_processes_go_on_in_a_new_one(tmp_path, monkeypatch):
    own, wanted = Stage(tmp_path, retries=0), Resources(cpus=1, concurrent=2)
    job, hear = Counted(tmp_path / "epochs", tmp_path), own.stage.report
    job.checkpoint.write_text("0")

    def report(name, told):
        if told.epoch == 1:
            for process in psutil.Process().children(recursive=True):
                if "raylet" in process.name():
                    process.kill()
        return hear(name, told)

    monkeypatch.setattr(own.stage, "report", report)
    with Cluster(wanted) as cluster:
        cluster.start()
        workers = Workers(2, wanted, cluster.driver_node, count_epochs, restarts=0)
        train_together(own.stage, workers, job, cluster)
    assert own.stage.failure is None
    assert own.record.trained and [told["epoch"] for told in own.record.curve] == [1, 2, 3]


@pytest.mark.slow
def test_two_processes_make_the_steps_of_one(phantom, tmp_path):
    told, weights = {}, {}
    for name in ("one", "two"):
        training, reports = together(phantom, tmp_path / name), []
        jobs = training.jobs
        if name == "one":
            train_supernet(training, reports.append, torch.device("cpu"), Worker())
        else:
            wanted = Resources(cpus=1, concurrent=2)
            with warnings.catch_warnings(), Cluster(wanted) as cluster:
                warnings.simplefilter("ignore")
                cluster.start()
                two = Workers(2, wanted, cluster.driver_node, train_supernet)
                two(training, reports.append)
        for report in reports:
            Attempts(jobs.shared.file).accept(report.attempt)
        told[name] = [(r.epoch, r.done, round(r.loss, 3), r.dice is None) for r in reports]
        weights[name] = read_checkpoint(jobs.shared.file)["weights"]
    assert told["two"] == told["one"] and len(told["one"]) == 2
    drawn = jobs.shared.build(0).state_dict()
    assert any((w - drawn[n]).abs().max() > 1e-3 for n, w in weights["one"].items())
    for name, weight in weights["one"].items():
        torch.testing.assert_close(weights["two"][name], weight, atol=1e-5, rtol=1e-4)
