"""Prepared volumes that several searches use, that cannot be written, or have no room."""

import os

import pytest

from tests.disk import grow, read_only, small_disk
from trainers.data.build_cache import build_cache
from trainers.data.config import Preprocess
from trainers.data.msd import read_msd
from trainers.errors import UserError

from .volumes import write_msd

CHOSEN = Preprocess(spacing=(1.2, 1.0, 0.9))
NAMES = [f"case_{n}" for n in range(6)]


@pytest.fixture
def data(tmp_path):
    return write_msd(tmp_path / "data", NAMES)


def content(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_a_cache_that_cannot_be_written_is_read(data, tmp_path):
    (folder := tmp_path / "cache").mkdir()
    with small_disk(folder, 2**22):
        made = build_cache(read_msd(data), CHOSEN, folder)
        whole = content(made.folder)
        with read_only(folder):
            again = build_cache(read_msd(data), CHOSEN, folder)
            assert again.folder == made.folder
            assert again.check().cases == made.check().cases
            assert again.image("case_3").shape[0] == 1
            assert content(again.folder) == whole


def test_other_volumes_in_a_cache_that_cannot_be_written_are_one_clear_error(data, tmp_path):
    (folder := tmp_path / "cache").mkdir()
    with small_disk(folder, 2**22), read_only(folder):
        with pytest.raises(UserError, match=r"cache cannot be written.*data\.cache"):
            build_cache(read_msd(data), CHOSEN, folder)
        assert list(folder.iterdir()) == []


def test_a_disk_that_is_full_names_the_folder_and_the_same_command_goes_on(data, tmp_path):
    expected = content(build_cache(read_msd(data), CHOSEN, tmp_path / "whole").folder)
    size = sum(map(len, expected.values()))
    (folder := tmp_path / "cache").mkdir()
    with small_disk(folder, size):  # what is finished of each case and the whole do not both fit
        with pytest.raises(OSError, match="No space left on device") as error:
            build_cache(read_msd(data), CHOSEN, folder)
        assert str(folder) in str(error.value.filename)
        assert not [path for path in folder.iterdir() if not path.name.startswith(".")]
        grow(folder, 2**24)
        cache = build_cache(read_msd(data), CHOSEN, folder)
        assert content(cache.folder) == expected
        assert [path.name for path in folder.iterdir()] == [cache.folder.name]


def test_processes_that_prepare_the_same_at_once_share_what_one_has_made(data, tmp_path):
    expected = content(build_cache(read_msd(data), CHOSEN, tmp_path / "whole").folder)
    for attempt in range(3):
        folder = tmp_path / f"cache-{attempt}"
        children = [_build_in_a_child(data, folder) for _ in range(3)]
        assert [os.waitstatus_to_exitcode(os.waitpid(c, 0)[1]) for c in children] == [0] * 3
        [made] = folder.iterdir()
        assert content(made) == expected


def _build_in_a_child(data, folder):
    """A copy of this process, which ends with 0 once it has the cache."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            cache = build_cache(read_msd(data), CHOSEN, folder)
            status = 0 if set(cache.names) == set(NAMES) else 2
        finally:
            os._exit(status)
    return child
