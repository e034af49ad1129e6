"""Sources of data: the contract, for those here and an installed one, and how they are found."""

import sys
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from nas.config.run_config import RunConfig
from nas.config.yaml_file import read_config
from tests.installed_package import files_of_page, install, said_by_tests
from trainers.data.config import Preprocess
from trainers.data.datalist import DatalistData
from trainers.data.dataset import Dataset
from trainers.data.msd import MsdData
from trainers.data.nnunet import NnunetData
from trainers.data.phantom_source import PhantomData
from trainers.data.registry import DataConfig, all_sources
from trainers.data.source import About, Case
from trainers.data.table import CsvData
from trainers.data.testing import DataSourceContract
from trainers.errors import UserError

from .layouts import datalist_of, nnunet_of, table_of
from .volumes import write_msd

PATIENTS = files_of_page("own-data-source.md")


class TestMsdData(DataSourceContract):
    def make(self, folder):
        return MsdData(path=write_msd(folder, ["b", "a"]), cache=folder / "cache")


class TestNnunetData(DataSourceContract):
    def make(self, folder):
        msd = write_msd(folder / "msd", ["b", "a"], ("T1", "T2"))
        return NnunetData(path=nnunet_of(msd, folder / "Dataset001"))


class TestCsvData(DataSourceContract):
    def make(self, folder):
        msd = write_msd(folder / "msd", ["b", "a"])
        rows = [
            {part: str(Path("msd", f"{part}sTr", f"{name}.nii.gz")) for part in ("image", "label")}
            for name in "ba"
        ]
        classes = ("background", "low", "high")
        return CsvData(path=table_of(msd, folder / "cases.csv", rows), classes=classes)


class TestDatalistData(DataSourceContract):
    def make(self, folder):
        msd = write_msd(folder / "msd", ["b", "a"])
        training = [
            {part: f"{part}sTr/{name}.nii.gz" for part in ("image", "label")} for name in "ba"
        ]
        file = datalist_of(msd, folder / "list.json", training=training)
        return DatalistData(path=file, root=folder / "msd")


class TestPhantomData(DataSourceContract):
    def make(self, folder):
        return PhantomData(cases=2, shape=(16, 16, 16), organs=3)


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Installs a package of these files, changed by what is given."""

    def offer(files):
        folder = tmp_path / "site"
        folder.mkdir()
        install(files, folder)
        monkeypatch.syspath_prepend(folder)
        all_sources.cache_clear()
        return folder

    yield offer
    all_sources.cache_clear()
    sys.modules.pop("patient_source", None)


def with_entry(line):
    """The package of the page with another entry point."""
    entry = 'patients = "patient_source:PatientData"'
    project = PATIENTS["pyproject.toml"].replace(entry, line)
    assert line in project
    return {**PATIENTS, "pyproject.toml": project}


def test_the_source_of_the_page_keeps_the_contract(installed):
    assert "11 passed" in said_by_tests(installed(PATIENTS), "test_patient_source.py")


def test_a_run_reads_an_installed_source(installed):
    config = read_config(RunConfig, installed(PATIENTS) / "my-task.yaml")
    assert config.data.archive == Path("/data/archive")
    assert config.data.preprocess == Preprocess()
    assert RunConfig.model_validate(config.model_dump(mode="json")) == config


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("data.archiv=x", "data.archiv is not a key of `data`. Did you mean archive?"),
        (
            "data.pth=x",
            "There are: source, preprocess, split, cache, regions, regions_class_order, ignore, "
            "archive, modalities, classes",
        ),
        ("data.classes=3", "data.classes = 3: "),
        ("data.source=patient", "data: 'patient' is no source of data. Did you mean patients?"),
        ("data.source=zip", "data: 'zip' is no source of data. There are: 'msd', 'phantom'"),
        ("data.source=3", "data: expected keys and values, with a `source` of 'msd', 'phantom'"),
        ("data.preprocess.window=[1, 2]", "window belongs to `intensity: ct`"),
    ],
)
def test_a_key_that_does_not_fit_an_installed_source_is_named(installed, setting, told):
    with pytest.raises(UserError) as error:
        read_config(RunConfig, installed(PATIENTS) / "my-task.yaml", [setting])
    assert told in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('patients = "nowhere:Data"', "patients = nowhere:Data: No module named 'nowhere'"),
        ('patients = "patient_source:Nothing"', "patient_source:Nothing"),
        ('patients = "patient_source:UserError"', "expected a SourceConfig with source: Literal"),
        ('archive = "patient_source:PatientData"', "expected a SourceConfig with source: Literal"),
        ('msd = "trainers.data.msd:MsdData"', "another source has the name msd"),
    ],
)
def test_an_entry_point_that_offers_no_source_is_refused(installed, line, told):
    file = installed(with_entry(line)) / "my-task.yaml"
    with pytest.raises(UserError, match="entry point") as error:
        read_config(RunConfig, file)
    assert told in str(error.value)


def test_a_configuration_is_dumped_with_the_keys_of_its_source():
    adapter = TypeAdapter(DataConfig)
    config = adapter.validate_python({"source": "msd", "path": "there", "split": "cases.json"})
    assert adapter.dump_python(config, mode="json") == {
        "source": "msd",
        "path": "there",
        "preprocess": Preprocess().model_dump(mode="json"),
        "split": "cases.json",
        "cache": None,
    }


def test_paths_are_absolute_in_a_portable_configuration(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    there = MsdData(path="data", split="cases.json").portable()
    assert (there.path, there.split) == (tmp_path / "data", tmp_path / "cases.json")
    assert there.cache is None


def test_a_data_set_tells_what_dataset_json_says_of_it(msd, edit):
    assert MsdData(path=msd).about() == About("balls")
    edit(description="Two classes", licence="CC-BY-SA 4.0", reference=None)
    assert MsdData(path=msd).about() == About("balls", "Two classes", "", "CC-BY-SA 4.0")
    assert MsdData(path=msd.parent / "gone").about() == About("gone")


def test_a_name_that_two_cases_have_is_refused(tmp_path):
    cases = tuple(Case(name, tmp_path, tmp_path) for name in ("a", "b", "b"))
    with pytest.raises(UserError, match=r"cases\.csv has b more than once"):
        Dataset(tmp_path, ("CT",), ("background", "organ"), cases, "cases.csv")
