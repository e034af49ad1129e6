"""A class in no validation case has no Dice: every place says so, and none fails."""

import csv
import json
import shutil

import nibabel as nib
import numpy as np
import pytest
import torch
from mlflow import MlflowClient

from nas.cli.main import main
from nas.pareto.result import Result
from nas.report.read_search import read_search
from tests.nas.exports import CLASSES, POINT, weights_in, write_export
from tests.nas.report.test_front_page import embedded_data
from tests.nas.small_search import ended_search
from trainers.checkpoint import write_checkpoint
from trainers.data.task import Task

ABSENT = "in no validation case"


def search_in(directory, **tracking):
    """A search whose last member has a `lesion` in no validation case. Returns folder and key."""
    directory.mkdir(exist_ok=True)
    ends = [(0.7, 1000), (0.8, 2000), (0.9, 3000)]
    last = ended_search(directory, ends, tracking=tracking).results[-1]
    journal = directory / "journal.log"
    written, text = '"dice_per_class":{"organ":0.9', journal.read_text()
    assert text.count(written) == 1
    journal.write_text(text.replace(written, f'{written},"lesion":NaN'))  # as version 0.1 did
    classes = ("background", "organ", "lesion")
    Task(channels=1, classes=classes, spacing=None, patch=(24, 24, 24)).write(directory)
    weights = last.network().build(1, 3).state_dict()
    write_checkpoint(directory / "checkpoints" / f"{last.key}.pt", {"weights": weights})
    assert main(["sync", str(directory)]) == 0
    return directory, last.key


@pytest.fixture
def searched(tmp_path):
    return search_in(tmp_path / "search", enabled=False)


def test_fronts_and_reports_say_so(searched):
    directory, key = searched
    assert main(["front", str(directory)]) == 0
    assert main(["report", str(directory)]) == 0
    report = directory / "report"
    rows = (report / "report.md").read_text().splitlines()
    [row] = [row for row in rows if key in row]
    assert f"| 0.9000 | 0.9000 | {ABSENT} |" in row
    assert r"in\,no\,validation\,case" in (report / "front.tex").read_text()
    with (directory / "front.csv").open() as file:
        [row] = [row for row in csv.DictReader(file) if row["key"] == key]
    assert (row["dice_organ"], row["dice_lesion"]) == ("0.9", ABSENT)
    members = json.loads((directory / "front.json").read_text())["members"]
    assert {m["key"]: m["dice_per_class"] for m in members}[key] == {"organ": 0.9, "lesion": None}
    networks = embedded_data((directory / "front.html").read_text())["networks"]
    assert {n["key"]: n["perClass"] for n in networks}[key] == [0.9, ABSENT]
    assert all(n["perClass"] == [n["dice"], None] for n in networks if n["key"] != key)


def test_mlflow_has_no_metric_for_it(tmp_path):
    directory, key = search_in(tmp_path, enabled=True)
    client = MlflowClient(f"sqlite:///{directory / 'mlflow.db'}")
    runs = client.search_runs([client.get_experiment_by_name("segnas").experiment_id])
    [metrics] = [run.data.metrics for run in runs if run.data.tags.get("key") == key]
    assert {name for name in metrics if name.startswith("dice")} == {"dice", "dice_organ"}
    assert not any(map(np.isnan, metrics.values()))


def test_it_is_exported_with_a_card_that_says_so(searched, tmp_path):
    directory, key = searched
    out = tmp_path / "out"
    assert main(["export", str(directory), "--pick", key, "--to", str(out)]) == 0
    assert f"(organ 0.9000, lesion {ABSENT})" in (out / "README.md").read_text()
    record = json.loads((out / "architecture.json").read_text())
    assert record["result"]["dice_per_class"] == {"organ": 0.9, "lesion": None}
    assert "train_seconds" not in record["result"]  # which a front does not know


def test_a_result_keeps_the_class_through_json(searched):
    directory, key = searched
    [result] = [r for r in read_search(directory)[1].results if r.key == key]
    assert result.dice_per_class == {"organ": 0.9, "lesion": None}
    text = json.dumps(result.to_json(), allow_nan=False)
    assert Result.from_json(json.loads(text), result.space) == result


@pytest.mark.parametrize("folds", [[], ["--folds", "2"]], ids=["once", "folds"])
def test_it_is_retrained_and_said(tmp_path, phantom_folder, phantom, capsys, folds):
    """No case has the last class, and the network cannot be brought to say it."""
    _, cases = phantom
    data = shutil.copytree(phantom_folder, tmp_path / "data")
    for path in (data / "labelsTr").iterdir():
        image = nib.load(path)
        label = np.asarray(image.dataobj) * (np.asarray(image.dataobj) < 3)
        nib.save(nib.Nifti1Image(label.astype(np.uint8), image.affine), path)
    folder = write_export(tmp_path / "out", data, cases, learning_rate=1e-9)
    weights = weights_in(folder / "trial.pt")
    for name, tensor in weights.items():
        if name.endswith("bias") and tensor.shape == (len(CLASSES),):
            tensor[3] = -1000.0
    write_checkpoint(folder / "trial.pt", {"weights": weights})
    start = [] if folds else ["--from", "trial"]
    torch.manual_seed(0)
    assert main(["retrain", str(folder), *start, *folds]) == 0
    record = json.loads((folder / "retrained.json").read_text())
    card = (folder / "README.md").read_text()
    if folds:
        assert isinstance(record["dice_mean"], float)
        return
    assert record["dice_per_class"]["adrenal"] is None
    assert f"adrenal {ABSENT}" in card
    assert f"adrenal {ABSENT}" in capsys.readouterr().out
    assert POINT.key in card


RAISED = [KeyboardInterrupt, TypeError, MemoryError, SystemExit]


@pytest.mark.parametrize("there", [False, True], ids=["new", "empty"])
@pytest.mark.parametrize("error", RAISED)
def test_an_export_that_ends_in_the_middle_leaves_the_folder_as_it_was(
    searched, tmp_path, monkeypatch, error, there
):
    directory, key = searched
    out = tmp_path / "out"
    before = set(tmp_path.iterdir()) | ({out} if there else set())
    if there:
        out.mkdir()
    export = ["export", str(directory), "--pick", key, "--to", str(out)]

    def broken(_):
        raise error

    with monkeypatch.context() as broken_card:
        broken_card.setattr("nas.export.write_export.write_card", broken)
        if error is KeyboardInterrupt:
            assert main(export) == 130
        else:
            with pytest.raises(error):
                main(export)
    assert set(tmp_path.iterdir()) == before
    assert not there or not list(out.iterdir())
    assert main(export) == 0
