"""Folders that are filled or as they were, whatever is raised."""

import pytest

from trainers.atomic import fill_folder, write_folder


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
