"""The whole path through the command line, on phantoms: search, pick, retrain, evaluate, use."""

import io
import json
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from nas.cli.main import main

ROOT = Path(__file__).parents[1]
SEGNAS = Path(sys.executable).with_name("segnas")
SMALL = {
    "data.cases": "8",
    "data.shape": "[32, 32, 32]",
    "space.restrict.width": "[4, 6]",
    "train.epochs": "2",
    "train.steps_per_epoch": "8",
    "train.patch": "[16, 16, 16]",
    "latency.repeats": "3",
    "search.trials": "4",
    "retrain.epochs": "2",
}


def segnas(*arguments: str | Path) -> str:
    """A command in this process, which has imported what takes seconds; what it prints."""
    with redirect_stdout(io.StringIO()) as printed:
        assert main([str(argument) for argument in arguments]) == 0
    return printed.getvalue()


@pytest.fixture(scope="module")
def search(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("search") / "run"
    settings = [word for key, value in SMALL.items() for word in ("--set", f"{key}={value}")]
    command = [SEGNAS, "search", "configs/quickstart.yaml", "--dir", folder, *settings]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def export(search: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export") / "out"
    segnas("export", search, "--pick", "best-dice", "--to", folder)
    return folder


def test_search_leaves_a_front_that_front_prints(search: Path) -> None:
    front = json.loads(segnas("front", search, "--json"))
    summary = json.loads((search / "summary.json").read_text())
    assert summary["trials"] == 4
    assert len(front["members"]) == summary["front"] >= 1
    for member in front["members"]:
        assert {"key", "dice", "params", "macs", "latency_ms", "architecture"} <= set(member)
        assert 0 <= member["dice"] <= 1
    assert front["members"][0]["key"] in segnas("front", search)
    assert (search / "front.html").stat().st_size > 50_000  # its scripts are inside


def test_search_again_in_the_same_folder_trains_nothing_again(search: Path) -> None:
    before = segnas("front", search, "--json")
    settings = [word for key, value in SMALL.items() for word in ("--set", f"{key}={value}")]
    segnas("search", ROOT / "configs/quickstart.yaml", "--dir", search, *settings)
    assert segnas("front", search, "--json") == before


def test_cost_of_an_export_is_what_the_search_counted(search: Path, export: Path) -> None:
    key = json.loads((export / "architecture.json").read_text())["key"]
    front = json.loads(segnas("front", search, "--json"))
    member = next(m for m in front["members"] if m["key"] == key)
    cost = json.loads(segnas("cost", export, "--input", "1x16x16x16", "--classes", "5", "--json"))
    assert (cost["params"], cost["macs"]) == (member["params"], member["macs"])
    assert cost["flops"] == 2 * cost["macs"]


def test_retrained_weights_replace_the_trials_in_evaluate_and_predict(
    search: Path, export: Path, tmp_path: Path
) -> None:
    (phantom,) = (search / "phantom").iterdir()
    folders = ["--images", phantom / "imagesTr", "--labels", phantom / "labelsTr"]
    before = json.loads(segnas("evaluate", export, *folders, "--json"))
    segnas("retrain", export, "--set", "train.steps_per_epoch=12")
    after = json.loads(segnas("evaluate", export, *folders, "--json"))

    assert before["network"].startswith("trial weights")
    assert after["network"].startswith("retrained weights")
    assert after["dice_per_class"].keys() == {"liver", "aorta", "adrenal", "kidney"}
    assert len(after["cases"]) == 8
    assert after["dice"] == pytest.approx(np.mean([c["dice"] for c in after["cases"].values()]))

    segnas("predict", export, "--images", phantom / "imagesTr", "--to", tmp_path / "out")
    images = sorted((phantom / "imagesTr").iterdir())
    for image in images:
        volume, segmentation = nib.load(image), nib.load(tmp_path / "out" / image.name)
        assert segmentation.shape == volume.shape
        np.testing.assert_allclose(segmentation.affine, volume.affine)
