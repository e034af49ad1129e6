"""The benchmark of mechanisms on phantoms: what it measures, and that it goes on."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "mechanisms.py"
PLAN = """
name: a
data: {source: phantom, cases: 8, shape: [24, 24, 24], split: {validation: 0.25, test: 0.25}}
train: {patch: [24, 24, 24], epochs: 1, steps_per_epoch: 2}
"""


def run(folder, file, *arguments):
    command = [sys.executable, str(SCRIPT), str(folder), "--to", str(file), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_every_variant_is_trained_once_and_measured(tmp_path):
    (tmp_path / "plan.yaml").write_text(PLAN)
    file = tmp_path / "a.jsonl"
    printed = run(tmp_path, file, "--steps", "2", "--seeds", "1")
    rows = {row["variant"]: row for row in map(json.loads, file.read_text().splitlines())}
    assert all(f"{row['dice']:.4f}" in printed for row in rows.values())
    assert rows["constant"]["spread"] == rows["constant"]["followed"] == 0
    assert rows["constant"]["fixed"] == pytest.approx(rows["constant"]["dice"], abs=1e-6)
    assert rows["soft-argmax"]["spread"] > 10 * rows["pooled"]["spread"]
    assert {"learned, r = 0.9", "chance, r = 0.9", "unpruned", "none"} <= rows.keys()
    assert rows["learned, r = 0.5"]["kept"] > 0
    run(tmp_path, file, "--steps", "2", "--seeds", "1")
    assert len(file.read_text().splitlines()) == len(rows)
