"""What a person can mend is one line and not a traceback, in benchmarks too."""

import runpy
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"
READING = [file for file in FOLDER.rglob("*.py") if "type=Path" in file.read_text()]
OWN = {"kernels.py", "predict_memory.py"}  # they only write files, and compare with their own


@pytest.mark.parametrize("file", READING, ids=[file.stem for file in READING])
def test_every_benchmark_that_is_given_data_tells_errors_in_one_line(file):
    assert "one_line_errors(main)" in file.read_text() or file.name in OWN


@pytest.mark.parametrize(
    "command",
    [
        ["orderings.py", "--data", "nowhere"],
        ["table/make.py", "{configs}", "--data", "nowhere", "--to", "{to}/a.jsonl"],
    ],
)
def test_a_folder_that_is_none_is_one_line(command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(FOLDER)
    table = FOLDER / "table" / "hippocampus.yaml"
    name, *arguments = (word.format(configs=table, to=tmp_path) for word in command)
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(FOLDER / name), run_name="__main__")
    told = capsys.readouterr().err
    assert ended.value.code == 2
    assert "error:" in told and "nowhere" in told
    assert "Traceback" not in told and len(told.strip().splitlines()) == 1
