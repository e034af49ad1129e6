"""Lists of cases and splits of others, damaged: datalists, tables, dataset.json, split files."""

import csv
import io
import json

import pytest

from nas.cli.main import main
from tests.fuzz import TEXTS, damaged_bytes, damaged_json, everything, problems
from trainers.data.check import check_dataset
from trainers.data.folder_source import source_of
from trainers.data.names import check_names
from trainers.data.source_split import split_source
from trainers.data.splits import split_cases

from .layouts import datalist_of, nnunet_of, pair_of, table_of
from .volumes import write_msd

KINDS = ("datalist", "table", "decathlon", "nnunet")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The same three cases in every layout: kind -> the file that lists them."""
    folder = tmp_path_factory.mktemp("data")
    msd = write_msd(folder / "balls", ["a", "b", "c"])
    fold = [{**pair_of(msd, name), "fold": n} for n, name in enumerate("abc")]
    nnunet_of(msd, folder / "nnunet")
    rows = [{**pair_of(msd, name), "case": name, "group": "g", "split": ""} for name in "abc"]
    (folder / "cases").mkdir()
    classes = {"labels": {"background": 0, "low": 1, "high": 2}}
    (folder / "cases" / "dataset.json").write_text(json.dumps(classes))
    return {
        "datalist": datalist_of(msd, folder / "list.json", training=fold),
        "table": table_of(msd, folder / "cases" / "cases.csv", rows),
        "decathlon": msd / "dataset.json",
        "nnunet": folder / "nnunet" / "dataset.json",
    }


def damaged_table(draw, text):
    if draw.random() < 0.4:
        return damaged_bytes(draw, text.encode())
    rows = list(csv.reader(io.StringIO(text)))
    for _ in range(draw.randint(1, 3)):
        row = draw.choice(rows)
        row[draw.randrange(len(row))] = draw.choice(TEXTS)
    written = io.StringIO()
    csv.writer(written).writerows(rows)
    return written.getvalue().encode("utf-8", "surrogatepass")


def attempts(whole, workdir):
    originals = {kind: file.read_bytes() for kind, file in whole.items()}

    def attempt(draw):
        kind = draw.choice(KINDS)
        file, text = whole[kind], originals[kind].decode()
        changed = damaged_table(draw, text) if kind == "table" else damaged_json(draw, text)
        file.write_bytes(changed)
        try:
            data = file.parent if kind in ("decathlon", "nnunet") else file
            config = source_of(data, workdir)
            config.about()
            source = config.open(workdir)
            check_names(source)
            split_source(source, config.split)
            check_dataset(source)
        finally:
            file.write_bytes(originals[kind])

    return attempt


def test_damaged_lists_are_refused_in_a_few_lines_or_read(whole, tmp_path):
    before = everything(next(iter(whole.values())).parent)
    assert problems(attempts(whole, tmp_path), range(120)) == []
    assert everything(tmp_path) == {}
    assert everything(next(iter(whole.values())).parent).keys() == before.keys()


@pytest.mark.slow
def test_two_thousand_more(whole, tmp_path):
    assert problems(attempts(whole, tmp_path), range(120, 2120)) == []


SPLIT = json.dumps({"training": ["a"], "validation": ["b"], "test": ["c"]})


def test_damaged_split_files_are_refused_in_a_line_or_read(tmp_path):
    file = tmp_path / "split.json"

    def attempt(draw):
        file.write_bytes(damaged_json(draw, SPLIT))
        cases = split_cases("abc", file)
        assert {*cases.train, *cases.validation, *cases.test} <= {*"abc"}

    assert problems(attempt, range(300)) == []


@pytest.mark.parametrize("kind", KINDS)
def test_the_command_tells_what_is_wrong_and_obeys_no_name(whole, kind, capsys):
    """A name that would set the terminal's title and colour is written out."""
    file = whole[kind]
    original = file.read_text()
    evil = "\x1b]0;owned\x07\x1b[31m"
    try:
        if kind == "table":
            file.write_text(original.replace(",a,", f",{evil},").replace("b.nii.gz", evil))
        else:
            told = json.loads(original)
            labels = told["labels"]
            named = labels | ({"1": evil} if kind in ("datalist", "decathlon") else {evil: 3})
            file.write_text(json.dumps(told | {"labels": named}))
        data = file.parent if kind in ("decathlon", "nnunet") else file
        assert main(["check", str(data)]) in (1, 2)
    finally:
        file.write_text(original)
    out, err = capsys.readouterr()
    assert "\x1b]" not in out + err and "\x07" not in out + err
    assert "x1b" in out + err
