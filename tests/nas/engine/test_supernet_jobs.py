"""What a worker does before the candidates: train the supernet, score networks with it."""

import json
import pickle
from dataclasses import replace
from functools import partial

import pytest
import torch

from nas.config.resources import Resources
from nas.engine.attempts import Attempts
from nas.engine.evaluator import Workspace
from nas.engine.supernet import score_batch, train_supernet
from nas.engine.supernet.draws import draws_within
from nas.engine.supernet.jobs import SupernetJob, SupernetJobs
from nas.export.shared_weights import SharedWeights
from nas.pareto.budget import Budget
from nas.study.training_cost import TrainingCosts
from search_spaces.hybrid import SPACE, Hybrid
from trainers.checkpoint import read_checkpoint
from trainers.config import TrainConfig
from trainers.errors import UserError
from trainers.precision import autocast
from trainers.validation import score_network

RESTRICT = {
    "width": (4, 6),
    "levels": (3,),
    "token_stages": (0,),
    "conv": ("standard",),
    "residual": (True,),
    "stem_stride": (2,),
    "decoder": ("residual",),
    "norm": ("instance",),
    "anchors": (0,),
}
TRAIN = TrainConfig(patch=(16, 16, 16), epochs=9, steps_per_epoch=2, batch=1)
SMALL, LARGE = Hybrid(width=4), Hybrid(width=6, convs=3)


@pytest.fixture
def begin(phantom, tmp_path):
    """Makes the jobs as a process does that they were sent to; all have one search folder."""
    cache, cases = phantom

    def begin(epochs=2, seconds=0.0, limit=None, pause=lambda: None):
        sizes = cache.channels, cache.targets.outputs
        jobs = SupernetJobs(
            shared=SharedWeights(SPACE, RESTRICT, *sizes, tmp_path / "supernet" / "supernet.pt"),
            train=TRAIN,
            costs=TrainingCosts(TRAIN, Resources(), Budget(params=limit), *sizes),
            prior={},
            seed=0,
            device="cpu",
            cases=1,
            epochs=epochs,
            seconds=seconds,
        )
        sent = pickle.loads(pickle.dumps(jobs))
        sent.prepare(Workspace(tmp_path, cache, cases, pause))
        return sent

    return begin


@pytest.fixture(autouse=True)
def _few(monkeypatch):
    """Counting the networks of a pool takes longer than training them here."""
    monkeypatch.setattr(train_supernet, "draws_within", partial(draws_within, pool=6))


def reports_of(job):
    reports = [job.advance()]
    while not reports[-1].done:
        reports.append(job.advance())
    return reports


def train(jobs):
    return reports_of(jobs.start(SupernetJob(name="supernet").record))


def score(jobs, *networks):
    [report] = reports_of(jobs.start(SupernetJob(name="scores-1", batch=networks).record))
    return report.scored


def test_it_is_trained_and_another_process_goes_on_from_the_checkpoint(begin, tmp_path):
    first = begin().start(SupernetJob(name="supernet").record).advance()
    rest = train(begin())
    assert [r.fidelity.epochs for r in (first, *rest)] == [1, 2]
    assert all(report.fidelity.shared and report.epochs == 2 for report in (first, *rest))
    assert {"dice_smallest"} <= rest[-1].measured.keys() and 0 <= rest[-1].dice <= 1
    halves = read_checkpoint(tmp_path / "supernet" / "supernet.pt")["weights"]
    (tmp_path / "supernet" / "supernet.pt").unlink()
    train(begin())
    for name, weight in read_checkpoint(tmp_path / "supernet" / "supernet.pt")["weights"].items():
        torch.testing.assert_close(halves[name], weight, rtol=0, atol=0)
    [again] = train(begin())  # whose last report was lost
    assert again.done and again.loss is None


def test_who_is_not_heard_any_more_spoils_nothing(begin, tmp_path):
    job, file = SupernetJob(name="supernet").record, tmp_path / "supernet" / "supernet.pt"
    first, weights = begin(epochs=3).start(job, "a"), Attempts(file)
    assert first.advance().attempt == "a" and not file.exists()
    weights.accept("a")
    second = begin(epochs=3).start(job, "b")
    assert second.advance().fidelity.epochs == 2
    weights.accept("b")
    kept = file.read_bytes()
    assert [first.advance().fidelity.epochs for _ in range(2)] == [2, 3]  # cut off, and lives on
    assert file.read_bytes() == kept


def test_a_full_disk_costs_the_way_back_and_the_last_weights_are_waited_for(begin, tmp_path):
    job = SupernetJob(name="supernet").record
    steps = begin(epochs=3).start(job, "a")
    assert steps.advance().saved
    (own := tmp_path / "supernet" / "supernet.attempt-a").unlink()
    own.mkdir()  # nothing can be written there
    report = steps.advance()
    assert (report.epoch, report.saved) == (2, False)
    assert "the supernet trains on" in report.warning
    with pytest.raises(OSError, match=r"supernet\.attempt-a"):
        steps.advance()


def test_as_many_epochs_are_trained_as_there_is_time_for_and_no_others_later(begin, tmp_path):
    file = tmp_path / "supernet" / "epochs.json"
    [report] = train(begin(epochs=None, seconds=1e-3))
    assert (report.epochs, json.loads(file.read_text())) == (1, 1)
    file.write_text("3")
    reports = train(begin(epochs=None, seconds=1e9))
    assert [r.fidelity.epochs for r in reports] == [2, 3]


def test_a_score_is_the_dice_of_the_weights_that_are_cut_out(begin, phantom):
    cache, cases = phantom
    train(begin())
    jobs, pauses = begin(), []
    found = {one.key: one for one in score(begin(pause=lambda: pauses.append(1)), SMALL, LARGE)}
    for network in (SMALL, LARGE):
        cut = jobs.shared.open().cut(network)
        compute = lambda: autocast(TRAIN, torch.device("cpu"))  # noqa: E731
        dice, _ = score_network(cut, cache, cases.validation[:1], TRAIN, compute)
        assert found[network.key].dice == dice
        assert found[network.key].costs == jobs.costs.work(network)
    assert found[SMALL.key].dice != found[LARGE.key].dice
    assert pauses


@pytest.mark.parametrize(
    ("there", "places"), [(15, [0, 1, 3, 5, 7, 9, 11, 13]), (16, range(0, 16, 2)), (3, range(3))]
)
def test_cases_that_score_are_evenly_spread(begin, tmp_path, phantom, there, places):
    cache, cases = phantom
    names = tuple(f"case-{place:02}" for place in range(there))
    jobs = replace(begin(), cases=8)
    jobs.prepare(Workspace(tmp_path, cache, replace(cases, validation=names), lambda: None))
    assert jobs.workspace.cases.validation == tuple(names[place] for place in places)


def test_a_network_over_the_budget_or_broken_has_no_score_and_others_have(begin):
    train(begin())
    costs = begin().costs.work(SMALL)["params"]
    small, large = score(begin(limit=costs), SMALL, LARGE)
    assert small.dice is not None and large.dice is None and "over budget" in large.reason
    other, small = score(begin(), Hybrid(width=32), SMALL)  # no part of these weights
    assert other.dice is None and other.reason and small.dice is not None


def test_a_batch_is_reported_now_and_then(begin, monkeypatch):
    train(begin())
    monkeypatch.setattr(score_batch, "REPORTS", 0.0)
    job = begin().start(SupernetJob(name="scores-1", batch=[SMALL, LARGE]).record)
    assert [[one.key for one in r.scored] for r in reports_of(job)] == [[SMALL.key], [LARGE.key]]


def test_what_cannot_be_trained_is_a_report_and_missing_weights_are_told(begin):
    jobs = begin()
    jobs.train = TRAIN.model_copy(update={"deep_supervision": True})
    [report] = train(jobs)
    assert "train.deep_supervision is for one network" in report.reason
    with pytest.raises(UserError, match=r"supernet\.pt is missing"):
        begin().start(SupernetJob(name="scores-1", batch=[SMALL]).record)
