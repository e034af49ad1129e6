"""A real search among networks that prune by their input: its MACs are those that they compute."""

import csv
import io

import pytest
from rich.console import Console

from nas.cost.count import cost_of
from nas.search.notebook import open_search
from nas.search.run import run_search
from tests.nas.small_run import config

PATCH = (24, 24, 24)
RESTRICT = {
    "design": ["apformer"],
    "spatial_dims": [3],
    "width": [4, 8],
    "levels": [3],
    "layers": [1],
    "heads": [1, 2],
    "head_channels": [16],
    "prune_queries": [True],
    "confidence": [0.7],
}


@pytest.mark.slow
def test_macs_are_those_of_the_queries_that_were_kept(tmp_path):
    space = {"name": "apformer", "restrict": RESTRICT}
    search = {"trials": 2, "startup": 2, "baselines": [], "confirm": 0}
    train = {"patch": PATCH, "epochs": 2, "steps_per_epoch": 30, "batch": 2, "learning_rate": 0.02}
    run = config(search, space=space, train=train, objectives=["dice", "macs"])
    run_search(run, tmp_path, Console(file=io.StringIO()))
    results = open_search(tmp_path).results
    assert any(result.measured["alpha"] > 0.02 for result in results)
    for result in results:
        network, kept = result.network(), 1 - result.measured["alpha"]
        least, most = result.macs_bounds
        assert least <= result.costs["macs"] <= most
        assert result.costs["macs"] == cost_of(network, 1, 4, PATCH, kept=kept).macs
        assert result.costs["macs"] == pytest.approx(least + kept * (most - least), rel=0.005)
    with (tmp_path / "front.csv").open() as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        assert float(row["macs_least"]) <= float(row["macs"]) <= float(row["macs_most"])
