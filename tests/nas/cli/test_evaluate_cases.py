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
    warning = "2 of 6 are training cases of the network, 1 validation cases: Dice is too good"
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
