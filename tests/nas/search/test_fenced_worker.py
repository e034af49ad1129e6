"""A worker that is cut off writes on after another took its place: real trainings, real files."""

import hashlib
import json
from types import SimpleNamespace

import pytest
import torch

from nas.cost.latency_probe.machine_lock import MachineLock
from nas.engine.train_from_scratch import TrainFromScratch
from nas.engine.trial_files import TrialFiles
from nas.engine.trial_worker import TrialWorker, WorkerSettings
from nas.search.candidate_queue import CandidateQueue
from nas.study.search_folder import checkpoint_in
from tests.nas.parts import make_session, open_study
from tests.nas.small_run import config
from trainers.checkpoint import read_checkpoint, write_checkpoint


@pytest.fixture
def search(phantom, tmp_path):
    """A session of one slot, whose trials are trained by workers of this process."""
    cache, cases = phantom
    (tmp_path / "split.json").write_text(cases.to_json())
    run = config(search={"sampler": "random", "trials": 1}, objectives=["dice", "params"])
    study = open_study(tmp_path, run, lambda _: {"params": 1000, "macs": 10**6})
    session = make_session(study, run, tmp_path, 1, CandidateQueue(study, run.budget, None))
    settings = WorkerSettings(
        directory=tmp_path,
        volumes=cache.folder,
        machine_lock=tmp_path.name,
        evaluator=TrainFromScratch(run.train, 0, "cpu"),
        stall_minutes=30.0,
    )
    yield SimpleNamespace(session=session, settings=settings, folder=tmp_path)
    MachineLock.named(tmp_path.name).remove()


def worker_of(search, attempt):
    """The worker that trains what the session starts under that name."""
    candidate = search.session.start(attempt)
    told = {"key": candidate.name, "record": json.dumps(candidate.record), "attempt": attempt}
    return candidate.key, TrialWorker({**told, "settings": search.settings})


def heard(search, attempt, worker):
    """One step of it, of which the session hears. Returns whether it goes on."""
    return search.session.report(attempt, worker.step()["report"])


def late(worker):
    """One more step of a worker that nobody hears, with weights that no other has."""
    network = worker._evaluation._trainer.network
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(1.01)
    return worker.step()["report"]


def weights(search, key):
    """Of the network that is kept."""
    state = read_checkpoint(checkpoint_in(search.folder, key))
    return {
        name: hashlib.sha256(t.numpy().tobytes()).digest() for name, t in state["weights"].items()
    }


def test_what_a_worker_saves_that_is_not_heard_any_more_is_not_gone_on_from(search):
    key, first = worker_of(search, "a")
    assert heard(search, "a", first)
    search.session.on_worker_lost("a", counts=False)
    trained = weights(search, key)
    assert late(first).epoch == 2  # it writes before the second has read
    assert weights(search, key) == trained
    key, second = worker_of(search, "b")
    assert second.step()["report"].epoch == 2
    assert second._evaluation._trainer.curve[0] == first._evaluation._trainer.curve[0]


def test_late_weights_do_not_take_the_place_of_those_of_the_result(search):
    key, first = worker_of(search, "a")
    assert heard(search, "a", first)
    search.session.on_worker_lost("a", counts=False)
    key, second = worker_of(search, "b")
    assert heard(search, "b", second)
    assert late(first).epoch == 2  # between two epochs of the second
    assert not heard(search, "b", second)
    trained = weights(search, key)
    search.session.end("b")
    [result] = search.session.study.results
    assert (result.state, result.epochs) == ("complete", 3)
    assert weights(search, key) == trained
    assert late(first).done  # and once all is over
    assert weights(search, key) == trained
    assert read_checkpoint(checkpoint_in(search.folder, key)).keys() == {"weights"}


def test_of_an_attempt_that_has_ended_no_file_is_left(search):
    key, first = worker_of(search, "a")
    heard(search, "a", first)
    search.session.on_worker_lost("a", counts=False)
    _, second = worker_of(search, "b")
    for _ in range(2):
        heard(search, "b", second)
    search.session.end("b")
    assert [file.name for file in (search.folder / "checkpoints").iterdir()] == [f"{key}.pt"]


def test_a_disk_without_links_is_served_by_copies(search, monkeypatch):
    def refuse(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("os.link", refuse)
    key, first = worker_of(search, "a")
    assert heard(search, "a", first)
    search.session.on_worker_lost("a", counts=False)
    _, second = worker_of(search, "b")
    assert second.step()["report"].epoch == 2
    assert read_checkpoint(checkpoint_in(search.folder, key))["training"]["epoch"] == 1


def test_what_killed_processes_left_is_cleared_and_nothing_else(tmp_path):
    files = TrialFiles(tmp_path, 30)
    for name in ("done", "half", "stopped", "going"):
        write_checkpoint(files.checkpoint(name), {"weights": {}, "training": {"epoch": 1}})
    write_checkpoint(files.checkpoint("old"), {"weights": {}})
    folder = tmp_path / "checkpoints"
    files.attempts("going").begin("a")
    (folder / ("." + "going.pt." + "0" * 32)).write_bytes(b"half")
    (folder / ".going.attempt-a").write_bytes(b"half")
    (folder / "going.hang.txt").touch()
    (folder / "hung.hang.txt").write_text("Timeout!")
    files.clear({"done": True, "half": True, "stopped": False, "old": True})
    left = {path.name for path in folder.iterdir()}
    assert left == {"done.pt", "half.pt", "going.pt", "old.pt", "hung.hang.txt"}
    assert read_checkpoint(files.checkpoint("done")) == {"weights": {}}
    assert read_checkpoint(files.checkpoint("going"))["training"] == {"epoch": 1}
