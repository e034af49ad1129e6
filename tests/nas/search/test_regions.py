"""Overlapping regions and ignored voxels from a search to every form of a network in use."""

import io
import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from rich.console import Console

from nas.cli.main import main
from nas.config.run_config import RunConfig
from nas.config.yaml_file import write_config
from nas.export.deploy.open_segmenter import load_segmenter
from nas.search.run import run_search
from tests.nas.small_run import config
from tests.segnas_command import SegnasCommand
from tests.slow import and_slow
from tests.trainers.data.tumours import IGNORE, KEYS, REGIONS, dice_oracle, write_tumours
from trainers.data.task import Task
from trainers.errors import UserError

NAMES = {"WT", "TC", "ET"}


def run_of(data: Path, **keys: object) -> RunConfig:
    return config(
        search={"trials": 1, "baselines": [], "confirm": 0.0},
        data={
            **{"source": "msd", "path": str(data), "regions": KEYS, "ignore": IGNORE},
            **{"preprocess": {"spacing": "native", "crop": "none"}, **keys},
        },
        space={"restrict": {"width": [4], "levels": [3], "anchors": [0], "token_stages": [0]}},
        train={
            **{"patch": [16, 16, 16], "epochs": 2, "steps_per_epoch": 20},
            **{"learning_rate": 1e-2, "loss": {"boundary": 0.2}},
        },
        retrain={"epochs": 3, "ema": 0.9, "deep_supervision": True},
        objectives=["dice", "params"],
    )


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tumours(tmp_path_factory.mktemp("data"), ignore=True)


@pytest.fixture(scope="module")
def search(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("search") / "run"
    run_search(run_of(data), directory, Console(file=io.StringIO()))
    return directory


@pytest.fixture(scope="module")
def export(search: Path) -> Path:
    """Exported, and retrained with all that a retraining can add; its teacher is the trial."""
    folder, teacher = search.with_name("out"), search.with_name("teacher")
    for to in (folder, teacher):
        assert main(["export", str(search), "--pick", "best-dice", "--to", str(to)]) == 0
    assert main(["retrain", str(folder), "--teacher", str(teacher)]) == 0
    return folder


@pytest.mark.slow
def test_a_search_scores_regions(search: Path) -> None:
    (member,) = json.loads((search / "front.json").read_text())["members"]
    assert member["dice_per_class"].keys() == NAMES
    assert Task.read(search).regions == REGIONS and Task.read(search).ignore == IGNORE
    assert main(["front", str(search)]) == 0


@pytest.mark.slow
def test_other_regions_under_a_journal_are_refused(search: Path, data: Path) -> None:
    other = run_of(data, regions={"WT": [1, 2, 3]}, regions_class_order=[1])
    with pytest.raises(UserError, match=r"data\.regions was"):
        run_search(other, search, Console(file=io.StringIO()))


def test_an_export_tells_its_regions(export: Path) -> None:
    card = (export / "README.md").read_text()
    assert "TC (labels 2, 3; 2 in a label map)" in card and "voxels of the label 9" in card
    assert "to segment WT, TC, ET" in card
    record = json.loads((export / "retrained.json").read_text())
    assert record["dice_per_class"].keys() == NAMES and record["dice"] > 0.3


def test_other_regions_than_the_networks_are_not_retrained(export: Path) -> None:
    other = ["--set", "data.regions={WT: [1, 2, 3]}", "--set", "data.regions_class_order=[1]"]
    assert main(["retrain", str(export), *other]) == 2


def test_evaluation_and_prediction_of_an_export(
    export: Path, data: Path, tmp_path: Path, segnas: SegnasCommand
) -> None:
    images, labels = data / "imagesTr", data / "labelsTr"
    out = tmp_path / "out"
    segnas.printed("predict", export, "--images", images, "--to", out, "--save-probabilities")
    cases = segnas.json("evaluate", export, "--images", images, "--labels", labels)["cases"]
    for name, case in cases.items():
        predicted, truth = (
            np.asarray(nib.load(folder / f"{name}.nii.gz").dataobj) for folder in (out, labels)
        )
        each = [np.nan if d is None else d for d in case["dice_per_class"].values()]
        np.testing.assert_array_equal(each, dice_oracle(predicted, truth))
        shares = np.asarray(nib.load(out / f"{name}_probabilities.nii").dataobj)
        expected = np.zeros(truth.shape, int)
        for channel, region in enumerate(REGIONS):
            expected[shares[..., channel] > 0.5] = region.value
        np.testing.assert_array_equal(predicted, expected)


@pytest.mark.parametrize("kind", and_slow(["bundle", "torchscript"], ["onnx"]))
def test_deployed_it_makes_the_same_label_maps(
    export: Path, data: Path, tmp_path: Path, kind: str
) -> None:
    pytest.importorskip({"onnx": "onnxruntime", "bundle": "fire"}.get(kind, "torch"))
    to = tmp_path / "deployed"
    words = ["--format", kind, "--cases", "2", "--to", str(to)]
    assert main(["deploy", str(export), *words]) == 0
    deployed, ours = load_segmenter(to), load_segmenter(export)
    for image in sorted((data / "imagesTr").iterdir())[:2]:
        np.testing.assert_array_equal(deployed.segment(image), ours.segment(image))
    if kind == "bundle":
        assert json.loads((to / "deployment.json").read_text())["checks"]["pipeline"] == 1


def test_a_check_counts_regions_and_what_is_ignored(
    data: Path, tmp_path: Path, segnas: SegnasCommand
) -> None:
    write_config(run_of(data), tmp_path / "run.yaml")
    words = ["check", str(tmp_path / "run.yaml"), "--dir", str(tmp_path)]
    printed = segnas.printed(*words)
    assert "TC (2, 3)" in printed and "9, ignored" in printed
    report = segnas.json(*words)
    labels = [nib.load(file).get_fdata() for file in sorted((data / "labelsTr").iterdir())]
    ignored = [int((label == IGNORE).sum()) for label in labels]
    assert [case["ignored"] for case in report["cases"]] == ignored
    assert report["ignore"] == IGNORE and [r["name"] for r in report["regions"]] == list(KEYS)
    wrong = ["--set", "data.regions={WT: [1, 7]}"]
    assert main([*words, *wrong]) == 2
