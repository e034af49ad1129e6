"""A search's folder, held by real processes."""

import os
import signal
import subprocess
import sys

import pytest

from nas.study.folder_lock import alone_in, reading_in
from tests.disk import read_only, small_disk
from trainers.errors import UserError

HOLDER = """
import sys
from pathlib import Path
from nas.study.folder_lock import alone_in
with alone_in(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """A process that holds the folder until it is ended."""
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_folder_that_another_process_holds_is_refused(holder, tmp_path):
    with pytest.raises(UserError, match="another search is running in"), alone_in(tmp_path):
        pass


def test_the_folder_of_a_network_is_not_called_a_search(holder, tmp_path):
    with pytest.raises(UserError) as told:
        alone_in(tmp_path, "network").__enter__()
    assert str(told.value) == f"another command is at work in {tmp_path}; wait until it ends"


def test_a_killed_process_leaves_the_folder_free(holder, tmp_path):
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    with alone_in(tmp_path):
        assert (tmp_path / ".lock").exists()


def test_the_folder_is_made_held_and_free_again(tmp_path):
    folder = tmp_path / "runs" / "a"
    for _ in range(2):
        with alone_in(folder), pytest.raises(UserError, match="give a new search another --dir"):
            alone_in(folder).__enter__()


def test_the_file_that_an_earlier_version_left_does_no_harm(tmp_path):
    (tmp_path / ".lock").touch(mode=0o644)
    with alone_in(tmp_path):
        pass


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="file/a cannot hold a search: Not a directory"):
        alone_in(tmp_path / "file" / "a").__enter__()


def test_a_folder_that_cannot_be_written_is_read_and_left_as_it_is(tmp_path):
    (made := tmp_path / "made").mkdir()
    with small_disk(made, 2**20):
        (folder := made / "run").mkdir()
        for _ in range(2):  # before there is a lock, and then with it
            with read_only(made), reading_in(folder):
                pass
            assert not any(path.name != ".lock" for path in folder.iterdir())
            with alone_in(folder):
                pass


def test_what_a_process_holds_is_not_read_by_who_cannot_write_there(holder, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(UserError, match="another search is running in"), reading_in(tmp_path):
        pass
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    with reading_in(tmp_path), reading_in(tmp_path):
        pass
