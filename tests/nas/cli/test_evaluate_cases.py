"""Which cases `segnas evaluate` scores, and what it says of those that the network knows."""

import json

import pytest

from nas.cli.main import main
from nas.export.export_folder import Export
from nas.export.learnt_cases import LearntCases, learnt_by, learnt_cases
from tests.nas.exports import write_export
from trainers.data.splits import Cases

PARTS = Cases(("phantom_001", "phantom_002"), ("phantom_003",), ("phantom_004", "phantom_005"))


@pytest.fixture
def export(tmp_path, phantom_folder):
    return write_export(tmp_path / "net", phantom_folder, PARTS)


def folders(phantom_folder):
    return [f"--images={phantom_folder}/imagesTr", f"--labels={phantom_folder}/labelsTr"]


def numbers(names):
    return sorted(name[-1] for name in names)


def learnt(folder, first=False):
    found = learnt_cases(Export(folder), first)
    return numbers(found.training), numbers(found.validation)


def test_training_cases_are_told_and_counted(export, phantom_folder, tmp_path, capsys):
    arguments = ["evaluate", str(export), *folders(phantom_folder), "--to", str(tmp_path / "s")]
    assert main(arguments) == 0
    warning = "2 of 6 are training cases of the network, 1 validation case: Dice is too good"
    assert warning in capsys.readouterr().out
    assert main([*arguments, "--json"]) == 0
    printed, told = capsys.readouterr()
    assert warning in told
    assert json.loads(printed)["seen"] == {"training": 2, "validation": 1}
    written = json.loads((tmp_path / "s" / "evaluation.json").read_text())
    assert written["seen"] == {"training": 2, "validation": 1}


def test_what_weights_learnt_is_that_of_their_own_training(export):
    assert learnt(export) == (["1", "2"], ["3"])
    (export / "retrained.pt").touch()
    record = {"weights": "retrained.pt", "training": ["phantom_001", "phantom_006"]}
    (export / "retrained.json").write_text(json.dumps({**record, "validation": ["phantom_002"]}))
    assert learnt(export) == (["1", "6"], ["2", "3"])
    (export / "folds").mkdir()
    folds = [{"validation": ["phantom_003"]}, {"validation": ["phantom_001", "phantom_002"]}]
    (export / "folds" / "folds.json").write_text(json.dumps({"folds": folds}))
    (export / "retrained.json").write_text(json.dumps({"weights": "folds"}))
    assert learnt(export) == (["1", "2", "3"], [])
    assert learnt(export, first=True) == (["1", "2"], ["3"])


def test_of_several_folders_each_one_counts(export, phantom_folder, tmp_path):
    cases = Cases(("phantom_003",), ("phantom_001", "phantom_006"))
    other = write_export(tmp_path / "other", phantom_folder, cases)
    both = learnt_by([export, other, tmp_path / "deployed"])
    assert numbers(both.training) == ["1", "2", "3"]
    assert numbers(both.validation) == ["6"]
    assert both.among(["phantom_006"]) == LearntCases(validation=frozenset(["phantom_006"]))
    assert learnt_by([tmp_path / "deployed"]) is None


# A part of the split


@pytest.mark.parametrize(("part", "expected"), [("test", "45"), ("validation", "3")])
def test_a_part_of_the_split_is_scored(export, capsys, part, expected):
    assert main(["evaluate", str(export), "--part", part, "--json"]) == 0
    printed, told = capsys.readouterr()
    record = json.loads(printed)
    assert numbers(record["cases"]) == list(expected)
    assert ("Dice is too good" in told) == (part == "validation")


def test_a_part_scores_as_its_files_in_folders_do(export, phantom_folder, tmp_path, segnas):
    for kind in ("imagesTr", "labelsTr"):
        (tmp_path / kind).mkdir()
        for name in PARTS.test:
            link = tmp_path / kind / f"{name}.nii.gz"
            link.symlink_to(phantom_folder / kind / link.name)
    copied = segnas.json("evaluate", export, *folders(tmp_path))
    assert segnas.json("evaluate", export, "--part", "test")["scores"] == copied["scores"]


def test_a_part_comes_from_any_source(export, phantom_folder, tmp_path, segnas):
    table = tmp_path / "cases.csv"
    rows = [
        f"{phantom_folder}/imagesTr/phantom_00{n}.nii.gz,"
        f"{phantom_folder}/labelsTr/phantom_00{n}.nii.gz,scan {n}"
        for n in range(1, 7)
    ]
    table.write_text("\n".join(["image,label,case", *rows]))
    config = (export / "retrain.yaml").read_text()
    config = config.replace("source: msd", "source: csv").replace(str(phantom_folder), str(table))
    classes = "  classes: [background, liver, aorta, adrenal]\n"
    (export / "retrain.yaml").write_text(config.replace("data:\n", f"data:\n{classes}"))
    cases = Cases(("scan 1", "scan 2"), ("scan 3",), ("scan 6",))
    (export / "split.json").write_text(cases.to_json())
    assert list(segnas.json("evaluate", export, "--part", "test")["cases"]) == ["scan 6"]


def test_it_is_said_once_which_cases(export, phantom_folder, segnas):
    assert "which cases? Expected --images FOLDER and" in segnas.refused("evaluate", export)
    assert "which cases?" in segnas.refused("evaluate", export, folders(phantom_folder)[0])
    told = segnas.refused("evaluate", export, *folders(phantom_folder), "--part", "test")
    assert "exclude each other" in told


def test_a_part_that_is_not_there_is_told(export, tmp_path, segnas):
    (export / "split.json").write_text(Cases(PARTS.train, PARTS.validation).to_json())
    told = segnas.refused("evaluate", export, "--part", "test")
    assert "has no test cases; it has training (2), validation (1)" in told
    (tmp_path / "net-onnx").mkdir()
    (tmp_path / "net-onnx" / "deployment.json").write_text("{}")
    told = segnas.refused("evaluate", tmp_path / "net-onnx", "--part", "test")
    assert "is deployed, and does not know its data" in told


def test_data_that_are_gone_are_told(export, phantom_folder, segnas):
    config = (export / "retrain.yaml").read_text()
    (export / "retrain.yaml").write_text(config.replace(str(phantom_folder), "/nowhere"))
    told = " ".join(segnas.refused("evaluate", export, "--part", "test").split())
    assert "--part test needs the data of" in told and "/nowhere is no folder" in told
    assert "or give others with --images and --labels" in told


def test_what_comes_after_a_retraining_is_the_test(export, capsys):
    from nas.cli.retrain import _told
    from nas.export.retrain import Plan, Retrained
    from nas.export.training_job import Outcome

    done = Retrained(export / "retrained.pt", (Outcome(1, 0.5, {}, [0.5], 1.0),), 0.5)
    assert _told(Export(export), Plan(), done)[-1] == f"next: segnas evaluate {export} --part test"
    (export / "split.json").write_text(Cases(PARTS.train, PARTS.validation).to_json())
    assert _told(Export(export), Plan(), done)[-1].endswith("--images DIR --labels DIR")
