"""What the benchmarks of kills and of a long search see from outside."""

import io
import json
import subprocess
import time
from pathlib import Path

import pytest
from rich.console import Console

from nas.search.resync import sync_search
from tests.nas.small_search import FRONT, ended_search
from trainers.checkpoint import write_checkpoint

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(autouse=True)
def beside(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)


@pytest.fixture
def search(tmp_path):
    (tmp_path / "search").mkdir()
    ended_search(tmp_path / "search", tracking={"enabled": False})
    assert sync_search(tmp_path / "search", Console(file=io.StringIO())) == 0
    return tmp_path / "search"


def test_results_are_read_as_far_as_lines_are_whole(search):
    from watched.journal import results

    assert [told["state"] for told in results(search)].count("complete") == 4
    with (search / "journal.log").open("ab") as file:
        file.write(b'{"op_code":8,"user_attr":{"result":{"key"')
    assert len(results(search)) == 5


def test_a_front_that_is_not_that_of_all_results_is_noticed(search):
    from watched.journal import front_is_that_of_all

    told = json.loads((search / "front.json").read_text())
    assert len(told["members"]) == len(FRONT)
    assert front_is_that_of_all(search, "hybrid", ("dice", "params"))
    del told["members"][1]
    (search / "front.json").write_text(json.dumps(told))
    assert not front_is_that_of_all(search, "hybrid", ("dice", "params"))


def test_what_is_left_behind_is_found(search, tmp_path):
    from watched.journal import leftovers, results

    (temporary := tmp_path / "temporary").mkdir()
    (temporary / "ray").mkdir()
    complete = next(told["key"] for told in results(search) if told["state"] == "complete")
    write_checkpoint(search / "checkpoints" / f"{complete}.pt", {"weights": {}})
    assert leftovers(search, temporary) == []
    write_checkpoint(search / "checkpoints" / f"{complete}.pt", {"weights": {}, "training": {}})
    (search / "checkpoints" / f"{complete}.hang.txt").touch()
    (search / ".front.json.0123").touch()
    (temporary / "segnas-0-lock.room").touch()
    found = {path.name for path in leftovers(search, temporary)}
    files = {f"{complete}.pt", f"{complete}.hang.txt", ".front.json.0123", "segnas-0-lock.room"}
    assert found == files


def test_processes_are_found_whose_parents_have_ended():
    from watched.processes import Family

    command = "setsid sleep 60 & sleep 60 & wait"
    root = subprocess.Popen(["sh", "-c", command], start_new_session=True)
    family, end = Family(root.pid), time.monotonic() + 10
    while len(family.alive()) < 2 and time.monotonic() < end:
        time.sleep(0.02)
    root.kill()
    root.wait()
    left = family.alive()
    assert len(left) == 2  # one is in a session of its own
    for process in left:
        process.kill()
    while family.alive() and time.monotonic() < end:
        time.sleep(0.02)
    assert family.alive() == []


def test_the_table_of_kills_counts_by_what_was_killed():
    import kills

    row = kills.Kill("worker", "ray::", 0.0, 1.0, 3, back=4.0, left=["a", "b"]).row()
    shown = kills.table([row, {**row, "back": None}], [{"front": True}])
    text = io.StringIO()
    Console(file=text, width=160).print(shown)
    [line] = [line for line in text.getvalue().splitlines() if "worker" in line]
    cells = [cell.strip() for cell in line.strip("│").split("│")]
    assert cells == ["worker", "2", "6", "0", "0", "0", "0", "0", "4", "0", "0", "4 s (4)"]
