"""Which source opens a folder or a file, where nothing else is said."""

import json
import re
import shutil

import pytest

from tests.installed_package import install
from trainers.data.datalist import DatalistData
from trainers.data.folder_source import check_no_data, is_data, source_of
from trainers.data.msd import MsdData
from trainers.data.nnunet import NnunetData
from trainers.data.registry import all_sources
from trainers.data.table import CsvData
from trainers.errors import UserError

from .layouts import datalist_of, nnunet_of, table_of

LABELS = {"labels": {"background": 0, "low": 1, "high": 2}}


def refused(data) -> str:
    with pytest.raises(UserError) as error:
        source_of(data, data)
    return str(error.value)


def test_a_folder_of_the_decathlon(msd, tmp_path):
    assert source_of(msd, tmp_path) == MsdData(path=msd)


def test_a_folder_of_nnunet(msd, tmp_path):
    folder = nnunet_of(msd, tmp_path / "Dataset001")
    assert source_of(folder, tmp_path) == NnunetData(path=folder)


@pytest.mark.parametrize("keys", [{"tensorImageSize": "3D"}, {"numTraining": 3, "test": []}])
def test_keys_of_the_decathlon_make_no_nnunet(msd, edit, keys):
    edit(**keys)
    assert source_of(msd, msd) == MsdData(path=msd)


def test_a_table_or_a_datalist(msd, tmp_path):
    table = table_of(msd, tmp_path / "cases.csv")
    (tmp_path / "dataset.json").write_text(json.dumps(LABELS))
    assert source_of(table, tmp_path) == CsvData(path=table)
    assert source_of(tmp_path, tmp_path) == CsvData(path=table)
    datalist = datalist_of(msd, tmp_path / "list.json")
    assert source_of(datalist, tmp_path) == DatalistData(path=datalist)


def test_the_only_list_of_a_folder(msd, tmp_path):
    file = datalist_of(msd, tmp_path / "own" / "list.json")
    (tmp_path / "own" / "notes.json").write_text("{}")
    assert source_of(file.parent, tmp_path) == DatalistData(path=file)
    shutil.copy(file, file.with_name("other.json"))
    assert "own has several lists of cases, list.json, other.json; give the one" in refused(
        file.parent
    )


def test_a_list_beside_images_that_are_described_is_said_not_to_count(msd, tmp_path):
    """Its patients and its split would be lost without a word."""
    table_of(msd, msd / "cases.csv")
    with pytest.warns(UserWarning, match=r"without cases\.csv; to go by a list, give its file"):
        assert source_of(msd, tmp_path) == MsdData(path=msd)


def test_what_is_wrong_is_said_of_the_layout_that_it_has(msd, tmp_path):
    folder = nnunet_of(msd, tmp_path / "Dataset001", file_ending=".foo")
    assert "file_ending is '.foo'" in refused(folder)
    assert "has the columns a; expected image and label" in refused(
        table_of(msd, tmp_path / "cases.csv", [{"a": "b"}])
    )


def test_a_configuration_is_no_data(tmp_path):
    for name, text in (("run.yaml", "name: a"), ("run.json", '{"name": "a"}'), ("no.json", "{")):
        (tmp_path / name).write_text(text)
        assert not is_data(tmp_path / name)
    assert not is_data(tmp_path / "nowhere.csv")


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("dataset.json", '{"labels": {}}', "describes a folder of data: give the folder, "),
        ("list.json", "[]", "has neither a list `training` nor the keys of a search. Expected"),
        ("list.json", '{"train": []}', "has neither a list `training` nor the keys of a search"),
        ("list.json", '{"training": [],}', "is no JSON: "),
    ],
)
def test_json_that_was_meant_as_data_is_no_configuration(tmp_path, name, text, told):
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError) as error:
        check_no_data(tmp_path / name)
    assert f"{tmp_path / name} {told}" in str(error.value)
    assert f"{tmp_path / name} {told}" in refused(tmp_path / name)


def test_a_configuration_may_be_json(tmp_path):
    (tmp_path / "run.json").write_text('{"name": "a", "data": {}}')
    check_no_data(tmp_path / "run.json")
    check_no_data(tmp_path / "run.yaml")


def test_a_folder_of_something_else_says_what_is_read(tmp_path):
    told = refused(tmp_path)
    assert "dataset.json is missing; expected a folder with dataset.json, imagesTr and" in told
    assert "a CSV table or a JSON datalist" in told
    assert "nowhere is missing; expected a folder" in refused(tmp_path / "nowhere")


@pytest.mark.parametrize("names", [("imagesTr", "labelsTr"), ("images", "masks")])
def test_images_and_labels_that_nothing_describes_are_told_how_to_go_on(msd, tmp_path, names):
    folder = tmp_path / "mine"
    for written, name in zip(("imagesTr", "labelsTr"), names, strict=True):
        shutil.copytree(msd / written, folder / name)
    told = refused(folder)
    assert f"has images in {names[0]} and labels in {names[1]}: write {folder}" in told
    follow(told, folder)


@pytest.mark.parametrize(
    ("images", "label", "columns"),
    [
        (["{}.nii.gz"], "{}_seg.nii.gz", "image,label"),
        (["{}/ct.nii.gz"], "{}/mask.nii.gz", "image,label"),
        (["{}/{}_t1.nii.gz", "{}/{}_t1ce.nii.gz"], "{}/{}_seg.nii.gz", "image_t1,image_t1ce,label"),
    ],
)
def test_images_beside_labels_are_told_how_to_go_on(msd, tmp_path, images, label, columns):
    folder = tmp_path / "mine"
    for case in "ab":
        for to in (*images, label):
            (file := folder / to.format(case, case)).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(msd / ("labelsTr" if to == label else "imagesTr") / "a.nii.gz", file)
    told = refused(folder)
    row = [to.format("a", "a") for to in (*images, label)]
    assert f"a row for each case\n{columns}\n{','.join(row)}\n" in told
    follow(told, folder)


def follow(told, folder):
    """What was told suffices."""
    assert told.endswith("docs/own-data.md has all layouts")
    texts = dict(re.findall(r"write (?:\S+/)?(\S+),.*\n((?:.*\n)+?)(?=and|docs)", told))
    texts |= re.findall(r"and \S+/(\S+),.*\n(.*\n)", told)
    for name, text in texts.items():
        (folder / name).write_text(text)
    cases = source_of(folder, folder).open(folder).cases
    assert [case.label.exists() for case in cases] == [True] * len(cases) and cases


def test_an_installed_source_that_needs_a_path_alone_is_tried(tmp_path, monkeypatch):
    module = """
from pathlib import Path
from typing import Literal
from trainers.data.dataset import Dataset
from trainers.data.source import Case, SourceConfig
from trainers.errors import UserError

class PairData(SourceConfig):
    source: Literal["pairs"] = "pairs"
    path: Path

    def open(self, workdir):
        if not (self.path / "ct.nii").exists():
            raise UserError("no pair")
        case = Case("a", self.path / "ct.nii", self.path / "seg.nii")
        return Dataset(self.path, ("CT",), ("background", "a"), (case,))
"""
    project = (
        '[project]\nname = "pairs"\nversion = "1.0"\n[project.entry-points."segnas.data_sources"]\n'
        'pairs = "pair_source:PairData"\n[tool.setuptools]\npy-modules = ["pair_source"]\n'
    )
    (tmp_path / "site").mkdir()
    install({"pair_source.py": module, "pyproject.toml": project}, tmp_path / "site")
    monkeypatch.syspath_prepend(tmp_path / "site")
    all_sources.cache_clear()
    try:
        (data := tmp_path / "data").mkdir()
        assert "dataset.json is missing" in refused(data)
        (data / "ct.nii").touch()
        assert source_of(data, tmp_path).source == "pairs"
    finally:
        all_sources.cache_clear()
