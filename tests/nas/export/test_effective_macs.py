"""What a network measured of itself, from the trial to its records and to the evaluation."""

import json
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from nas.cli.evaluation_table import measured_line
from nas.cost.count import cost_of
from nas.engine.report import Fidelity, Report
from nas.export.effective_macs import effective_macs
from nas.pareto.result import Result
from nas.search.candidate_queue import CandidateQueue
from nas.search.follow_ups import Tracking
from nas.tracking.trial_runs import final_metrics
from search_spaces.apformer import APFormer
from search_spaces.hybrid import Hybrid
from tests.nas.parts import make_session, open_study, start_training
from tests.nas.results import flat_result
from tests.nas.small_run import plain_run
from trainers.data.task import Task

TRAIN = {"patch": [24, 24, 24], "epochs": 2, "steps_per_epoch": 1, "batch": 1}
CONFIG = plain_run(train=TRAIN, objectives=["dice", "params"], tracking={"enabled": False})


class Counting(nn.Module):
    """Measures its eval passes."""

    def __init__(self):
        super().__init__()
        self.layer, self.passes = nn.Conv3d(1, 4, 1), 0

    def forward(self, x):
        self.passes += not self.training
        return self.layer(x)

    def measured(self):
        passes, self.passes = self.passes, 0
        return {"passes": float(passes)}


# Two volumes of one window each share a pass.
def test_a_report_has_what_the_validation_measured_and_not_the_latency_passes(phantom, tmp_path):
    run = start_training(Hybrid(width=4), CONFIG, *phantom, tmp_path / "a.pt")
    run._settings.network = lambda *_: Counting()
    assert [run.advance().measured for _ in range(2)] == [{"passes": 1.0}] * 2
    lost = start_training(Hybrid(width=4), CONFIG, *phantom, tmp_path / "a.pt")
    lost._settings.network = lambda *_: Counting()
    assert lost.advance().measured == {"passes": 1.0}  # validated again, from the checkpoint


class Log:
    """Keeps what a tracker is told."""

    def __init__(self):
        self.epochs, self.ended = [], []

    def trial_epoch(self, key, number, architecture, epoch, metrics, baseline):
        self.epochs.append((epoch, metrics))

    def trial_end(self, result, results):
        self.ended.append(result)

    def tick(self):
        pass


def test_every_epoch_logs_it_and_the_result_keeps_the_last(tmp_path):
    study = open_study(tmp_path, CONFIG, lambda a: {"params": 1000, "macs": 10**6})
    log = Log()
    admission = CandidateQueue(study, CONFIG.budget, None)
    session = make_session(study, CONFIG, tmp_path, 2, admission, [Tracking(log)])
    for name in "ab":
        session.start(name)
        session.report(name, Report(fidelity=Fidelity(1), loss=1.0, seconds=1.0))
    last = {"fidelity": Fidelity(2), "done": True}
    validated = Report(**last, loss=0.5, dice=0.6, seconds=1.0, measured={"alpha": 0.7})
    session.report("a", validated)
    session.end("a")
    session.report("b", Report(**last, measured={"alpha": 0.1}, reason="diverged"))
    session.end("b")
    assert log.epochs[-1] == (2, {"loss": 0.5, "dice": 0.6, "seconds": 1.0, "alpha": 0.7})
    assert [result.measured for result in log.ended] == [{"alpha": 0.7}, {}]
    assert final_metrics(log.ended[0])["alpha"] == 0.7
    assert study.results[0].measured == {"alpha": 0.7}


def test_results_are_read_with_and_without_it():
    result = flat_result(key="a", measured={"lambda": 0.5})
    record = json.loads(json.dumps(result.to_json()))
    assert Result.from_json(record, "hybrid") == result
    del record["measured"]
    assert Result.from_json(record, "hybrid").measured == {}


def export(architecture):
    task = Task(channels=1, classes=("background", "organ"), spacing=None, patch=(8, 32, 32))
    config, trained = SimpleNamespace(task=task), SimpleNamespace(patch=(8, 32, 32))
    return SimpleNamespace(architecture=architecture, config=config, trained=trained)


SMALL = APFormer(width=4, layers=2, heads=2, head_channels=16, mlp_ratio=1, reach=8)


def test_macs_at_the_measured_share_lie_between_the_bounds():
    """Of 16 patches a slice at stride 8, a quarter is pruned."""
    macs = effective_macs(export(SMALL), {"alpha": 0.25, "lambda": 0.5})
    cost = cost_of(SMALL, 1, 2, (8, 32, 32))
    assert (macs["macs"], macs["macs_least"]) == (cost.macs, cost.macs_least)
    kept = (macs["effective_macs"] - macs["macs_least"]) / (macs["macs"] - macs["macs_least"])
    assert kept == pytest.approx(0.75)


def test_without_a_measured_share_there_are_none():
    assert effective_macs(export(Hybrid(width=4)), {}) == {}
    assert effective_macs(export(SMALL), {"lambda": 0.5}) == {}


def test_the_line_for_a_person():
    macs = {"macs": 10_687_000_000, "effective_macs": 5_000_000_000, "macs_least": 3_436_000_000}
    assert measured_line({"alpha": 0.6394, "lambda": 0.483}, macs) == (
        "measured: alpha 63.94%, lambda 48.30%, 5 GMACs a patch at that alpha, between 3.436 "
        "and 10.69"
    )
    assert measured_line({"lambda": 0.483}, {}) == "measured: lambda 48.30%"
    assert measured_line({}, {}) == ""


def test_counting_leaves_a_trained_network_alone():
    """The costs are counted on another copy: the run's network keeps what its gate decides."""
    network = SMALL.build(1, 2).eval()
    effective_macs(export(SMALL), {"alpha": 1.0})
    with torch.no_grad():
        network(torch.randn(1, 1, 32, 32))
    assert network.measured()["alpha"] == 0
