"""`segnas predict` and `segnas evaluate` as a person meets them."""

import csv
import json

import nibabel as nib
import numpy as np
import pytest

from nas.cli.main import main
from tests.trainers.oracle import segmenter, write, write_cases


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Two cases, and a network that is right; which folder it comes from is tested elsewhere."""
    monkeypatch.setattr(
        "nas.export.deploy.open_segmenter.open_segmenter",
        lambda folder, raw: (segmenter(), f"network of {folder}"),
    )
    return write_cases(tmp_path)


def predict(folder, *more):
    return main(["predict", "net", "--images", f"{folder}/images", "--to", f"{folder}/out", *more])


def evaluate(folder, *more):
    return main(
        ["evaluate", "net", "--images", f"{folder}/images", "--labels", f"{folder}/labels", *more]
    )


def test_predict_writes_and_returns_zero(folder, capsys):
    assert predict(folder) == 0
    said = capsys.readouterr()
    assert said.out == f"2 segmentations in {folder}/out\n"
    assert "using the network of net" in said.err


def test_predict_with_a_broken_file_lists_it_and_returns_one(folder, capsys):
    (folder / "images" / "a.nii.gz").write_bytes(b"nothing")
    assert predict(folder) == 1
    said = capsys.readouterr()
    assert said.out == f"1 segmentation in {folder}/out\n"
    assert "1 case could not be segmented:" in said.err
    assert f"  a.nii.gz  {folder}/images/a.nii.gz cannot be read" in said.err
    assert [path.name for path in (folder / "out").iterdir()] == ["b.nii.gz"]


def test_predict_goes_on_after_an_interruption(folder, capsys):
    predict(folder)
    (folder / "out" / "a.nii.gz").unlink()
    capsys.readouterr()
    assert predict(folder, "--skip-existing") == 0
    assert capsys.readouterr().out == f"1 segmentation in {folder}/out; 1 already there\n"


def test_predict_refuses_what_cannot_be(folder, capsys):
    assert predict(folder, "--format", "dicom-seg") == 2
    assert "use --format nifti" in capsys.readouterr().err


def test_predict_turns_dicom_into_dicom(folder, capsys):
    from tests.trainers.dicom_series import pydicom, write_series

    write_series(folder / "dicom" / "x", np.full((4, 8, 8), 100.0))
    to = folder / "seg"
    assert main(["predict", "net", "--images", f"{folder}/dicom", "--to", str(to)]) == 0
    assert pydicom.dcmread(to / "x.dcm").Modality == "SEG"


def test_evaluate_prints_means_worst_cases_and_speed(folder, capsys):
    write(folder / "labels" / "a.nii.gz", np.zeros((9, 12, 7), np.uint8))  # all is too much
    assert evaluate(folder) == 0
    out = capsys.readouterr().out
    assert "0.500" in out
    assert "0.000-1.000" in out
    assert "liver: in 1 of the cases only one segmentation has it" in out
    worst = out[out.index("worst cases") :].splitlines()
    cases = [line.split()[0] for line in worst if line.split()[:1] in (["a"], ["b"])]
    assert cases == ["a", "b"]
    assert "volumes/s" in out
    assert "axial slices/s" in out


def test_evaluate_writes_csv_and_json(folder, capsys):
    assert evaluate(folder, "--to", str(folder / "scores"), "--tolerance", "2", "--json") == 0
    printed = json.loads(capsys.readouterr().out)
    assert json.loads((folder / "scores" / "evaluation.json").read_text()) == printed
    assert printed["tolerance_mm"] == 2
    assert printed["network"] == "network of net"
    with (folder / "scores" / "evaluation.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 4


@pytest.mark.parametrize("command", [predict, evaluate])
def test_a_file_in_the_place_of_the_output_folder_is_told(folder, capsys, command):
    (folder / "taken").write_text("")
    assert command(folder, "--to", str(folder / "taken")) == 2
    assert "taken cannot be made a folder: File exists" in capsys.readouterr().err


def test_a_disk_that_cannot_be_written_is_one_clear_error(folder, capsys, monkeypatch):
    def full(files):
        raise OSError(28, "No space left on device", "scores/evaluation.csv")

    monkeypatch.setattr("trainers.atomic.replace_files", full)
    assert evaluate(folder, "--to", f"{folder}/scores") == 2
    said = capsys.readouterr().err
    assert "error: scores/evaluation.csv: No space left on device" in said


@pytest.mark.parametrize("tolerance", ["-1", "nan", "much"])
def test_a_tolerance_is_a_distance(folder, capsys, tolerance):
    with pytest.raises(SystemExit):
        evaluate(folder, "--tolerance", tolerance)
    assert "expected millimetres" in capsys.readouterr().err


def test_the_written_segmentations_are_those_that_were_scored(folder, capsys):
    """Their Dice against the labels, by hand from the files, is what evaluate says."""
    label = nib.load(folder / "labels" / "a.nii.gz").get_fdata().astype(np.uint8)
    label[:, :6] = 0
    write(folder / "labels" / "a.nii.gz", label)
    predict(folder)
    capsys.readouterr()
    evaluate(folder, "--json")
    scores = json.loads(capsys.readouterr().out)["cases"]["a"]["dice_per_class"]
    found = nib.load(folder / "out" / "a.nii.gz").get_fdata()
    for number, name in ((1, "liver"), (2, "kidney")):
        a, b = found == number, label == number
        assert scores[name] == pytest.approx(2 * (a & b).sum() / (a.sum() + b.sum()))
