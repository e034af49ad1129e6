"""A new objective is a row of the table: the search, its files, its page and its report have it."""

import json
import os
from pathlib import Path

import pytest

from tests.processes import printed_by

PROGRAM = """
import nas.pareto.objectives as table

row = table.Objective(
    name="weights", title="Weights", unit="B", base=1024, span=(1e2, 1e10),
    counted=lambda cost: 4 * cost.params,
)
table.OBJECTIVES = {**table.OBJECTIVES, row.name: row}
table.COSTS = (*table.COSTS, row.name)

from nas.cli.main import main

assert main(["search", "run.yaml"]) == 0
assert main(["report", "runs/new"]) == 0
assert main(["export", "runs/new", "--pick", "knee", "--to", "out"]) == 0
"""
RUN = """
name: new
data: {source: phantom, cases: 6, shape: [24, 24, 24]}
space:
  name: hybrid
  restrict: {width: [4], levels: [3], stem_stride: [2], convs: [1], token_stages: [0]}
train: {patch: [16, 16, 16], epochs: 1, steps_per_epoch: 1, batch: 1}
objectives: [dice, weights]
search: {trials: 1}
tracking: {enabled: false}
"""


@pytest.mark.slow
def test_a_row_of_the_table_is_all_that_a_counted_objective_needs(tmp_path):
    (tmp_path / "run.yaml").write_text(RUN)
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd()), "OMP_NUM_THREADS": "1"}
    printed_by(PROGRAM, cwd=tmp_path, env=environment)
    folder = tmp_path / "runs" / "new"
    front = json.loads((folder / "front.json").read_text())
    (member,) = front["members"]
    assert front["objectives"] == ["dice", "weights"]
    assert member["weights"] == 4 * member["params"]
    assert str(member["weights"]) in (folder / "front.csv").read_text()
    assert '"weights":{"title":"Weights"' in (folder / "front.html").read_text().replace(" ", "")
    assert "Weights" in (folder / "report" / "report.md").read_text()
    assert "| weights |" in (tmp_path / "out" / "README.md").read_text()
