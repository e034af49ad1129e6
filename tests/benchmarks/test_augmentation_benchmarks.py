"""The benchmarks of augmentation on phantoms: what they print, and that they go on."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"
PLAN = """
name: a
data: {source: phantom, cases: 8, shape: [16, 16, 16], split: {validation: 0.25, test: 0.25}}
train: {patch: [16, 16, 16], epochs: 1, steps_per_epoch: 2}
"""


@pytest.fixture
def planned(tmp_path):
    (tmp_path / "plan.yaml").write_text(PLAN)
    return tmp_path


def run(script, *arguments):
    command = [sys.executable, str(FOLDER / script), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_trainings_are_lines_that_are_not_trained_again(planned):
    file = planned / "a.jsonl"
    asked = planned, "--to", file, "--network", "hybrid-xs", "--jobs", "1"
    first = *asked, "--augment", "basic", "{preset: nnunet, flips: []}", "--schedules", "search"
    printed = run("augmentations.py", *first, "--seeds", "1")
    lines = list(map(json.loads, file.read_text().splitlines()))
    assert [(one["augment"], one["steps"]) for one in lines] == [
        ("basic", 2),
        ("{preset: nnunet, flips: []}", 2),
    ]
    assert all(f"{one['dice']:.4f}" in printed for one in lines)
    more = run("augmentations.py", *first, "--seeds", "1", "--foreground", "0.5", "1")
    assert len(file.read_text().splitlines()) == 4
    assert more.count(" 0.5 ") == more.count(" 1 ") == 2
    long = run("augmentations.py", *asked, "--augment", "light", "--schedules", "retrain")
    assert "retrain, 8 steps" in long
    assert len(file.read_text().splitlines()) == 6  # two seeds


@pytest.mark.slow
def test_the_share_of_waiting_is_told_for_every_preset(planned):
    options = planned, "--steps", "3", "--network", "hybrid-xs"
    for printed in (
        run("waiting_for_data.py", *options),
        run("waiting_for_data.py", *options, "--step-ms", "5"),
    ):
        for name in ("basic", "light", "nnunet"):
            assert name in printed
        assert "%" in printed
