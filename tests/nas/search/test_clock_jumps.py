"""A wall clock that is set while a search runs: durations and budgets do not see it."""

import io
import json
import time

import pytest
from rich.console import Console

from nas.engine import tune_adaptors as adaptors
from nas.search.run import run_search
from nas.tracking import client as tracking_client
from nas.tracking.client import log
from tests.nas.small_run import config

HOUR = 3600.0


class Kept:
    """As much of a client as `log` uses."""

    def __init__(self):
        self.times = []

    def log_batch(self, run_id, metrics, params, tags):
        self.times += [metric.timestamp for metric in metrics]


def test_a_later_value_of_a_metric_is_never_the_older_one(monkeypatch):
    """MLflow takes the value with the latest time for that of the metric."""
    kept, real = Kept(), time.time
    log(kept, "run", metrics=[("hypervolume", 1, 0.1)])
    monkeypatch.setattr(tracking_client.time, "time", lambda: real() - 5 * HOUR)
    log(kept, "run", metrics=[("hypervolume", 1, 0.2)])
    first, second = kept.times
    assert first <= second < first + 60_000
    assert abs(first / 1000 - real()) < 60


@pytest.mark.slow
def test_a_search_whose_clock_jumps_for_hours_goes_on_as_if_it_had_not(tmp_path, monkeypatch):
    """Its own clock and that of Tune and MLflow in its process: three hours on, then eight back."""
    real, jumps = time.time, [0.0]
    monkeypatch.setattr(time, "time", lambda: real() + jumps[-1])
    heard = adaptors.SessionScheduler.on_trial_result

    def listen(scheduler, controller, trial, result):
        decision = heard(scheduler, controller, trial, result)
        if result["report"].done:
            jumps.append(3 * HOUR if len(jumps) == 1 else -5 * HOUR)
        return decision

    monkeypatch.setattr(adaptors.SessionScheduler, "on_trial_result", listen)
    run = config(
        search={"trials": 4, "startup": 2, "hours": 1, "budget": "trials", "baselines": []},
        tracking={"enabled": True},
    )
    outcome = run_search(run, tmp_path, Console(file=io.StringIO()))
    assert jumps[1:] == [3 * HOUR] + [-5 * HOUR] * 3
    assert (outcome.summary.trials, outcome.summary.infeasible) == (4, 0)
    assert 0 < outcome.summary.wall_seconds < 600
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["journal_bytes"] == (tmp_path / "journal.log").stat().st_size
    assert 0 < summary["train_seconds"] < 600
