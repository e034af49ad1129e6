"""`segnas check`: the table, its JSON, the sheet, and what it returns."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from matplotlib.figure import Figure
from PIL import Image

from nas.cli.main import main
from nas.report.contact_sheet import _head, class_colours, evenly
from tests.trainers.data.layouts import datalist_of, nnunet_of, pair_of, table_of
from tests.trainers.data.volumes import SHAPE, ball, write_msd, write_nifti
from trainers.data.source import Case


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_msd(tmp_path / "balls", ["a", "b", "c", "d"])


def search(data: Path, **split: object) -> Path:
    """The YAML of a search on these data."""
    values = {
        "name": "balls",
        "data": {"source": "msd", "path": str(data), "split": split or {"validation": 0.25}},
        "space": {"name": "hybrid"},
        "train": {"patch": [16, 16, 16]},
    }
    file = data.parent / "search.yaml"
    file.write_text(yaml.safe_dump(values))
    return file


def told(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().out.split())


def test_good_data(data, capsys):
    assert main(["check", str(data)]) == 0
    out = told(capsys)
    assert "4 cases" in out
    assert "voxels 12 x 14 x 10 12 x 14 x 10 12 x 14 x 10" in out
    low, high = (np.count_nonzero(ball(SHAPE) == label) / 1000 for label in (1, 2))
    assert f"1 low 4 {low:.3g}" in out
    assert f"2 high 4 {high:.3g}" in out
    assert out.endswith("no faults, no doubts")


def test_patients_are_counted_or_suggested_by_the_names(tmp_path, capsys):
    names = [f"pat{number}_{scan}" for number in range(5) for scan in ("early", "late")]
    folder = write_msd(tmp_path / "scans", names)
    assert main(["check", str(folder)]) == 0
    noted = " ".join(capsys.readouterr().err.split())
    assert "5 patients by the names" in noted
    pattern = noted.partition("data.split.groups: {pattern: '")[2].partition("'}")[0]
    groups = {"validation": 0.25, "groups": {"pattern": pattern}}
    assert main(["check", str(search(folder, **groups))]) == 0
    out, noted = capsys.readouterr()
    assert "10 cases of 5 patients; " in out
    assert "by the names" not in noted
    parts = {"training": names[:8], "validation": names[8:]}
    (tmp_path / "split.json").write_text(json.dumps(parts))
    config = yaml.safe_load((tmp_path / "search.yaml").read_text())
    config["data"]["split"] = str(tmp_path / "split.json")
    (tmp_path / "search.yaml").write_text(yaml.safe_dump(config))
    assert main(["check", str(tmp_path / "search.yaml")]) == 0
    assert "data.split.groups" not in capsys.readouterr().err  # beside a file there is no such key


def test_doubts_are_told_and_return_0(data, capsys):
    write_nifti(data / "imagesTr" / "b.nii.gz", np.full(SHAPE, 7, np.uint8))
    assert main(["check", str(data)]) == 0
    out = told(capsys)
    assert "doubt b image is 7 everywhere" in out
    assert out.endswith("no faults, 1 doubt")


def test_faults_return_1_and_the_other_cases_are_summed_up(data, capsys):
    (data / "labelsTr" / "b.nii.gz").unlink()
    assert main(["check", str(data)]) == 1
    out = told(capsys)
    assert "fault b image without a label (imagesTr/b.nii.gz)" in out
    assert "1 low 3 " in out
    assert out.endswith("1 of 4 cases cannot be used; no doubts")


def test_all_labels_empty_are_a_fault_of_the_set(data, capsys):
    for name in "abcd":
        write_nifti(data / "labelsTr" / f"{name}.nii.gz", np.zeros(SHAPE, np.uint8))
    assert main(["check", str(data)]) == 1
    assert told(capsys).endswith("these data cannot be used; 4 doubts")


def test_the_split_of_a_search_is_looked_at(data, capsys):
    """The file system's copy: two names, one content, in two parts."""
    for part in ("imagesTr", "labelsTr"):
        (data / part / "d.nii.gz").write_bytes((data / part / "a.nii.gz").read_bytes())
    assert main(["check", str(data)]) == 0
    assert "doubt d image and label are the same as those of a" in told(capsys)
    split = data.parent / "split.json"
    split.write_text(json.dumps({"training": ["a", "b"], "validation": ["c", "d"]}))
    file = search(data)
    assert main(["check", str(file), "--set", f"data.split={split}"]) == 1
    out = told(capsys)
    assert "4 cases; 2 training, 2 validation" in out
    assert "that is in training, this in validation" in out
    assert "class training validation volume, ml" in out


def test_the_json_has_it_all(data, capsys):
    write_nifti(data / "imagesTr" / "b.nii.gz", np.full(SHAPE, 7, np.uint8))
    (data / "labelsTr" / "c.nii.gz").unlink()
    assert main(["check", str(data), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["faults"], found["doubts"], found["split"]) == (1, 1, None)
    assert [(one["case"], one["kind"], one["fault"]) for one in found["findings"]] == [
        ("b", "constant image", False), ("c", "missing file", True),
    ]  # fmt: skip
    assert [case["name"] for case in found["cases"]] == ["a", "b", "d"]
    assert found["cases"][0]["shape"] == list(SHAPE)
    assert sum(found["cases"][0]["voxels"]) == np.prod(SHAPE)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing"], "missing is missing; expected a folder with dataset.json, a list"),
        (["."], "dataset.json is missing"),
        ([".", "--set", "data.path=x"], "--set and --dir go with the YAML file"),
        (["balls", "--sheet", "no/sheet.png"], "no is no folder"),
    ],
)
def test_bad_input_is_one_line(data, capsys, monkeypatch, arguments, message):
    monkeypatch.chdir(data.parent)
    assert main(["check", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.strip().splitlines()) == 1


# The sheet


def red(picture: np.ndarray) -> np.ndarray:
    """(height, width) bool: of the first class's colour, more or less."""
    return (picture[..., 0] > picture[..., 1] + 60) & (picture[..., 0] > picture[..., 2] + 60)


def one_case(folder: Path, centre: tuple[int, int, int], affine: np.ndarray) -> np.ndarray:
    """The sheet of one case that has a small class 1 at `centre`, without its head."""
    values = np.random.default_rng(0).normal(100, 10, (32, 32, 32)).astype(np.float32)
    label = np.zeros((32, 32, 32), np.uint8)
    x, y, z = centre
    label[x - 3 : x + 3, y - 3 : y + 3, z - 3 : z + 3] = 1
    write_msd(folder, ["a"])
    write_nifti(folder / "imagesTr" / "a.nii.gz", values, affine)
    write_nifti(folder / "labelsTr" / "a.nii.gz", label, affine)
    told = main(["check", str(folder), "--sheet", str(folder / "sheet.png")])
    assert told == 1  # a case alone is no set for a search
    return np.asarray(Image.open(folder / "sheet.png").convert("RGB")).astype(int)[120:]


def test_names_of_classes_stay_on_the_sheet(tmp_path):
    """Of 30 long ones some are left for a number."""
    names = ["background", *(f"vertebra number {n}" for n in range(30))]
    figure = Figure(figsize=(6, 3), dpi=100)
    ax = figure.add_axes((0, 0, 1, 1), xlim=(0, 600), ylim=(300, 0))
    source = SimpleNamespace(cases=["a"], modalities=["CT"], folder=tmp_path, classes=names)
    _head(ax, source, 1, class_colours(len(names)), 1.0)
    told = [text.get_text() for text in ax.texts[3:]]
    assert told[-1] == f"and {30 - (len(told) - 1)} more"
    assert len(told) > 2
    assert all(text.get_window_extent().x1 <= 600 for text in ax.texts[3:])


def axial(sheet: np.ndarray) -> np.ndarray:
    """The slice at the left: up to the first gap."""
    drawn = np.flatnonzero((sheet.max(axis=2) > 60).any(axis=0))
    return sheet[:, : drawn[np.argmax(np.diff(drawn) > 1)] + 1]


def place(picture: np.ndarray) -> tuple[float, float]:
    """Where class 1 is among what is drawn: 0 at the top and left, 1 at the bottom and right."""
    drawn, label = np.argwhere(picture.max(axis=2) > 60), np.argwhere(red(picture))
    low, high = drawn.min(axis=0), drawn.max(axis=0)
    y, x = (label.mean(axis=0) - low) / (high - low)
    return float(y), float(x)


def test_the_sheet_is_radiological(tmp_path, capsys):
    """Class 1 lies to the patient's right and front: at the left and the top."""
    y, x = place(axial(one_case(tmp_path, (28, 28, 16), np.eye(4))))
    assert x < 0.5
    assert y < 0.5


def test_the_sheet_turns_the_axes_of_the_file(tmp_path, capsys):
    """The file's first axis runs to the left, its second to the back."""
    y, x = place(axial(one_case(tmp_path, (28, 28, 16), np.diag([-1.0, -1, 1, 1]))))
    assert x > 0.5
    assert y > 0.5


def test_the_sheet_has_the_aspect_of_the_voxels(tmp_path, capsys):
    """Twice as long along the second axis: the axial slice is twice as high as wide."""
    sheet = axial(one_case(tmp_path, (16, 16, 16), np.diag([1.0, 2, 1, 1])))
    drawn = np.argwhere(sheet.max(axis=2) > 60)
    height, width = drawn.max(axis=0) - drawn.min(axis=0)
    assert height / width == pytest.approx(2, rel=0.1)


def test_cases_that_cannot_be_read_are_on_the_sheet_as_well(data, capsys):
    (data / "imagesTr" / "b.nii.gz").write_bytes(b"")
    write_nifti(data / "labelsTr" / "c.nii.gz", np.full(SHAPE, 9, np.uint8))
    write_nifti(data / "labelsTr" / "d.nii.gz", ball((5, 5, 5)))
    sheet = data / "sheet.png"
    assert main(["check", str(data), "--sheet", str(sheet), "--cases", "3"]) == 1
    assert "wrote 3 of 4 cases" in capsys.readouterr().err
    assert Image.open(sheet).size[0] > 500


def test_cases_are_chosen_evenly():
    cases = [Case(str(i), Path(), Path()) for i in range(9)]
    assert [case.name for case in evenly(cases, 3)] == ["0", "4", "8"]
    assert evenly(cases, 100) == cases


def test_there_is_a_colour_for_every_class():
    assert class_colours(301).shape == (301, 3)


def test_names_are_no_markup(data, capsys):
    file = data / "dataset.json"
    file.write_text(file.read_text().replace('"low"', r'"lo[red]w $\\x$"'))
    for part in ("imagesTr", "labelsTr"):
        (data / part / "d.nii.gz").rename(data / part / r"d $\x$.nii.gz")
    file.write_text(file.read_text().replace("d.nii.gz", r"d $\\x$.nii.gz"))
    assert main(["check", str(data), "--sheet", str(data / "sheet.png")]) == 0
    assert r"1 lo[red]w $\x$ 4" in told(capsys)


@pytest.mark.parametrize("shape", [(16, 16, 1), (1, 16, 16), (1, 1, 1)])
def test_flat_volumes_are_drawn_as_well(data, shape):
    for part, values in (("imagesTr", np.arange(np.prod(shape))), ("labelsTr", np.ones(shape))):
        write_nifti(data / part / "b.nii.gz", values.reshape(shape).astype(np.uint8))
    assert main(["check", str(data), "--sheet", str(data / "sheet.png")]) == 0


@pytest.mark.parametrize(
    ("name", "fault"),
    [("a.jpg", "expected a file that ends in .png"), ("a.png", "a folder; give another file")],
)
def test_a_sheet_that_cannot_be_written_is_said_before_anything_is_read(
    data, tmp_path, capsys, name, fault
):
    sheet = tmp_path / name
    sheet.mkdir()
    (data / "dataset.json").write_text("not read")
    assert main(["check", str(data), "--sheet", str(sheet)]) == 2
    said = capsys.readouterr()
    assert f"error: --sheet {sheet}: {fault}\n" in said.err
    assert not said.out


def test_a_reader_that_has_seen_enough_does_not_make_the_data_bad(data):
    reads, writes = os.pipe()
    os.close(reads)
    command = [sys.executable, "-m", "nas", "check", str(data)]
    process = subprocess.run(command, stdout=writes, stderr=subprocess.PIPE)
    os.close(writes)
    assert (process.returncode, process.stderr) == (0, b"")


def test_other_layouts_are_recognised(data, tmp_path, capsys):
    folder = nnunet_of(data, tmp_path / "Dataset001")
    table = table_of(data, tmp_path / "lists" / "cases.csv")
    labels = {"labels": {"background": 0, "low": 1, "high": 2}}
    (table.parent / "dataset.json").write_text(json.dumps(labels))
    datalist = datalist_of(data, tmp_path / "list.json")
    for given in (folder, table, datalist):
        assert main(["check", str(given)]) == 0, given
        out = told(capsys)
        assert "4 cases" in out and out.endswith("no faults, no doubts")


def test_data_that_cannot_be_split_return_1(tmp_path, capsys):
    assert main(["check", str(write_msd(tmp_path / "one", ["a"]))]) == 1
    assert "1 case cannot be split into training and validation" in told(capsys)
    labels = {"labels": {"background": 0, "low": 1, "high": 2}}
    (tmp_path / "dataset.json").write_text(json.dumps(labels))
    folder = write_msd(tmp_path / "several", ["a", "b", "c"])
    rows = [pair_of(folder, name) | {"group": "p"} for name in "abc"]
    assert main(["check", str(table_of(folder, tmp_path / "cases.csv", rows))]) == 1
    assert "1 patient cannot be split into training and validation" in told(capsys)


def test_a_leak_in_the_split_of_a_table_returns_1(data, tmp_path, capsys):
    labels = {"labels": {"background": 0, "low": 1, "high": 2}}
    (tmp_path / "dataset.json").write_text(json.dumps(labels))
    parts = {"a": "training", "b": "training", "c": "validation"}
    rows = [pair_of(data, name) | {"case": name, "split": part} for name, part in parts.items()]
    rows.append(pair_of(data, "a") | {"case": "again", "split": "validation"})
    assert main(["check", str(table_of(data, tmp_path / "cases.csv", rows))]) == 1
    out = told(capsys)
    assert "4 cases; 2 training, 2 validation" in out
    assert "image and label are the same as those of a; that is in training, this in val" in out


def test_the_split_that_the_data_bring_is_looked_at(data, tmp_path, capsys):
    folder = nnunet_of(data, tmp_path / "Dataset001")
    folds = [{"train": ["a", "b", "c"], "val": ["d"]}, {"train": ["a"], "val": ["b", "c"]}]
    (folder / "splits_final.json").write_text(json.dumps(folds))
    values = {
        "name": "balls",
        "data": {"source": "nnunet", "path": str(folder)},
        "train": {"patch": [16, 16, 16]},
    }
    (file := tmp_path / "search.yaml").write_text(yaml.safe_dump(values))
    assert main(["check", str(file)]) == 0
    assert "4 cases; 3 training, 1 validation" in told(capsys)
    assert main(["check", str(file), "--set", "data.split.fold=1"]) == 0
    assert "4 cases; 1 training, 2 validation" in told(capsys)
    assert main(["check", str(file), "--set", "data.split.fold=2"]) == 2
    assert "data.split.fold = 2, but dataset.json has folds 0 to 1" in capsys.readouterr().err
