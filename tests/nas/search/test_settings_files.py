"""What a running search has recorded is never lost by its being opened again."""

import pytest

from nas.config.run_config import RunConfig
from nas.config.yaml_file import read_config
from nas.search.settings_files import write_settings
from tests.disk import small_files
from tests.nas.small_run import config
from trainers.data.splits import split_cases
from trainers.data.task import Task

NAMES = {"config.yaml", "split.json", "task.json"}


def content(directory):
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def test_they_are_read_as_they_were_written(phantom, tmp_path):
    cache, cases = phantom
    write_settings(run := config(), tmp_path, cache, cases)
    assert read_config(RunConfig, tmp_path / "config.yaml", recorded=True) == run
    assert split_cases(cache.names, tmp_path / "split.json").parts == cases.parts
    assert Task.read(tmp_path) == Task.of(cache, run.train)


def test_the_data_are_found_from_another_working_directory(phantom, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = config(data={"source": "msd", "path": "data", "cache": "prepared"})
    write_settings(run, tmp_path, *phantom)
    read = read_config(RunConfig, tmp_path / "config.yaml", recorded=True)
    assert (read.data.path, read.data.cache) == (tmp_path / "data", tmp_path / "prepared")


def test_the_same_settings_write_nothing_not_even_where_nothing_can_be_written(phantom, tmp_path):
    write_settings(config(), tmp_path, *phantom)
    before = {path: path.stat().st_ino for path in tmp_path.iterdir()}
    with small_files(10):
        write_settings(config(), tmp_path, *phantom)
    assert {path: path.stat().st_ino for path in tmp_path.iterdir()} == before


def test_on_a_full_disk_the_old_ones_stay_all_of_them(phantom, tmp_path):
    write_settings(config(), tmp_path, *phantom)
    before = content(tmp_path)
    assert before.keys() == NAMES
    with small_files(10), pytest.raises(OSError, match=r"config\.yaml"):
        write_settings(config(search={"trials": 99}), tmp_path, *phantom)
    assert content(tmp_path) == before
