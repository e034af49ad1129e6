"""Folders that are filled or as they were, whatever is raised."""

import threading
import warnings

import pytest
from filelock import FileLock

from trainers.atomic import fill_folder, make_folder, make_folder_once, write_folder


@pytest.mark.parametrize("error", [KeyboardInterrupt, TypeError, MemoryError, SystemExit])
def test_a_folder_is_filled_or_as_it_was(tmp_path, error):
    def build(folder):
        (folder / "half").write_text("")
        (folder / "deep").mkdir()
        (folder / "deep" / "half").write_text("")
        raise error

    (tmp_path / "empty").mkdir()
    for name in ("empty", "new"):
        with pytest.raises(error):
            fill_folder(tmp_path / name, build)
    assert [path.name for path in tmp_path.rglob("*")] == ["empty"]


def test_files_are_written_into_a_folder_all_or_none(tmp_path):
    old = tmp_path / "old"
    old.mkdir()
    (old / "a").write_text("before")
    for folder in (old, tmp_path / "new" / "deep"):
        with pytest.raises(FileNotFoundError):
            write_folder(folder, {"a": b"after", "missing/b": b""})
    assert sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*")) == ["old", "old/a"]
    assert (old / "a").read_text() == "before"
    write_folder(tmp_path / "new", {"a": b"after"})
    assert (tmp_path / "new" / "a").read_bytes() == b"after"


def test_a_folder_is_made_once_and_what_killed_processes_left_of_it_goes(tmp_path):
    (tmp_path / ".new-0123").mkdir()
    (tmp_path / ".newer-0123").mkdir()  # of another folder
    for _ in range(2):
        made = make_folder_once(tmp_path / "new", lambda draft: (draft / "a").touch())
    assert sorted(path.name for path in tmp_path.iterdir()) == [".newer-0123", "new"]
    assert [path.name for path in made.iterdir()] == ["a"]


def test_who_fails_to_make_a_folder_leaves_nothing(tmp_path):
    with pytest.raises(ZeroDivisionError):
        make_folder_once(tmp_path / "new", lambda _: 1 / 0)
    assert not list(tmp_path.iterdir())
    assert make_folder_once(tmp_path / "new", lambda _: None).is_dir()


def test_a_folder_that_cannot_be_made_is_told_by_its_own_name(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError) as raised:
        make_folder(tmp_path / "file" / "new", lambda _: None)
    assert raised.value.filename == str(tmp_path / "file" / "new")


def test_who_wants_the_same_folder_waits_for_it_and_says_so(tmp_path):
    """The other process is a lock that is held."""
    builds, other = [], FileLock(tmp_path / ".new.lock")
    other.acquire()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        waiting = threading.Thread(
            target=make_folder_once, args=(tmp_path / "new", builds.append), daemon=True
        )
        waiting.start()
        waiting.join(timeout=0.3)
    assert waiting.is_alive() and not builds
    assert "new is made by another process; waiting for it" in str(told[0].message)
    (tmp_path / "new").mkdir()  # by the other
    other.release()
    waiting.join(timeout=20)
    assert not waiting.is_alive() and not builds
