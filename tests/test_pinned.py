"""What a change of the code's shape must leave as it is, digit for digit."""

import json
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from rich.console import Console

from nas.cli.main import main
from nas.config.run_config import RunConfig
from nas.config.yaml_file import read_config
from nas.search.run import run_search
from nas.study.stored_results import read_records
from tests.pinned.runs import STORED, machine, searched, trained

RUNS = {"search": searched, "training": trained}


@pytest.mark.parametrize("name", RUNS)
def test_a_fixed_run_gives_what_it_gave(name: str, tmp_path: Path) -> None:
    stored = json.loads(STORED[name].read_text())
    if machine() != stored["machine"]:
        pytest.skip(f"the digits are those of {stored['machine']}; this is {machine()}")
    found = json.loads(json.dumps(RUNS[name](tmp_path / "run")))
    assert found == stored["values"]


# The folders of version 0.1 still open


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A copy of a search, an export and a deployed network that version 0.1 wrote."""
    return Path(shutil.copytree(STORED["search"].parent / "version_0_1", tmp_path / "old"))


def test_an_old_search_goes_on_without_training_anything_again(old: Path) -> None:
    config = read_config(RunConfig, old / "search" / "config.yaml")
    before = read_records(old / "search", config.space.name, config.budget).results
    outcome = run_search(config, old / "search", Console(quiet=True))
    assert [member.key for member in outcome.members] == ["9f64f714d4", "8e8ee3d23e"]
    assert read_records(old / "search", config.space.name, config.budget).results == before


@pytest.mark.parametrize(
    "command",
    [
        ["front", "search"],
        ["report", "search"],
        ["export", "search", "--pick", "9f64", "--to", "new"],
        ["retrain", "export", "--set", "train.epochs=1", "--set", "train.steps_per_epoch=1"],
        ["cost", "export", "--input", "1x16x16x16", "--classes", "4"],
        ["predict", "deployed", "--images", "image.nii.gz", "--to", "segmented"],
    ],
    ids=lambda command: command[0],
)
def test_old_folders_open(command: list[str], old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(old)
    nib.save(nib.Nifti1Image(np.zeros((20, 20, 20)), np.eye(4)), "image.nii.gz")
    assert main(command) == 0
