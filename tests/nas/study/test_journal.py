import json
import os
import resource
import signal
import threading
from contextlib import contextmanager

import optuna
import pytest
from optuna.storages import JournalStorage

from nas.study import journal
from nas.study.journal import Journal
from trainers.errors import UserError

LOGS = [{"op_code": 8, "worker_id": "w", "text": f"{n:03d}" * 200} for n in range(3)]
STATE = {"op_code": 6, "worker_id": "w", "state": 1, "trial_id": 0}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(journal, "SHORTEST", 0.05)
    monkeypatch.setattr(journal, "LONGEST", 0.1)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal.log"


@contextmanager
def full_disk(size):
    """No file of this process can grow over `size` bytes; yields what ends that."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)  # Python ignores SIGXFSZ: an error is left

    def end():
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield end
    finally:
        end()


def logs(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_full_disk_holds_the_search_until_there_is_room(path):
    writer = Journal(path)
    writer.append_logs(LOGS[:1])
    with full_disk(path.stat().st_size + 100) as make_room:
        threading.Timer(0.3, make_room).start()
        with pytest.warns(UserWarning, match="journal") as warnings:
            writer.append_logs([LOGS[1], STATE])
    writer.append_logs(LOGS[2:])
    assert logs(path) == [LOGS[0], LOGS[1], STATE, LOGS[2]]
    held, goes_on = [str(warning.message) for warning in warnings]
    assert "cannot be written (File too large): the search waits" in held
    assert "goes on" in goes_on


def test_ctrl_c_ends_the_wait_and_leaves_nothing_of_the_write(path):
    writer = Journal(path)
    writer.append_logs(LOGS[:1])
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    with full_disk(path.stat().st_size + 100), pytest.warns(UserWarning, match="waits"):  # noqa: SIM117
        with pytest.raises(KeyboardInterrupt):
            writer.append_logs(LOGS[1:])
    assert logs(path) == LOGS[:1]
    assert path.read_bytes().endswith(b"\n")


def test_a_study_goes_on_after_a_full_disk_as_if_it_had_not_been(path):
    study = optuna.create_study(storage=JournalStorage(Journal(path)), study_name="search")
    trial = study.ask()
    with full_disk(path.stat().st_size + 20) as make_room:
        threading.Timer(0.3, make_room).start()
        with pytest.warns(UserWarning, match="journal.log"):
            trial.suggest_float("x", 0, 1)
            trial.set_user_attr("result", "all of it")
            study.tell(trial, 1.0)
    again = optuna.load_study(storage=JournalStorage(Journal(path)), study_name="search")
    [told] = again.trials
    assert (told.value, told.user_attrs, told.params) == (
        1.0, {"result": "all of it"}, trial.params
    )  # fmt: skip


def test_what_a_flush_could_not_bring_to_the_disk_is_written_once_more(path, monkeypatch):
    # Only a broken disk makes fsync fail: the one place where the failure is played.
    writer = Journal(path)
    writer.append_logs(LOGS[:1])
    fsync, asked, written = os.fsync, [], []
    pwrite = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda f, b, at: written.append((b, at)) or pwrite(f, b, at))

    def flush(file):
        asked.append(path.read_bytes())
        if len(asked) == 1:
            raise OSError(5, "Input/output error")
        fsync(file)

    monkeypatch.setattr(os, "fsync", flush)
    with pytest.warns(UserWarning, match="journal.log"):
        writer.append_logs([STATE])
    assert asked[0] == asked[1] == path.read_bytes()
    assert written == [(path.read_bytes(), 0)]
    assert logs(path) == [LOGS[0], STATE]


def test_a_whole_last_line_without_its_end_is_kept(path):
    path.write_text(json.dumps(LOGS[0]) + "\n" + json.dumps(STATE))
    with pytest.warns(UserWarning, match="lacks its end"):
        writer = Journal(path)
    writer.append_logs(LOGS[1:2])
    assert logs(path) == [LOGS[0], STATE, LOGS[1]]


@pytest.mark.parametrize(
    ("tail", "message"),
    [
        (b'{"op_code":4,"wor', "last line was half written"),
        (b'{"op_code":8,"a":{"b":1}', "last line was half written"),
        (bytes(4096), "last line was half written"),
        (b'{"op_c' + bytes(100) + b"\n", "last line was half written"),
        (bytes(100) + b'}\n{"op_code":8}\n' + bytes(50), "last 3 lines are damaged"),
        (bytes(100) + b'}\n{"op_code":6,"state":1}\n', "last 2 lines are damaged"),
    ],
)  # fmt: skip
def test_what_a_crash_or_a_power_cut_left_is_dropped(path, tail, message):
    whole = "".join(json.dumps(log) + "\n" for log in (LOGS[0], STATE, LOGS[1])).encode()
    path.write_bytes(whole + tail)
    with pytest.warns(UserWarning, match=message):
        writer = Journal(path)
    assert path.read_bytes() == whole
    writer.append_logs(LOGS[2:])
    assert list(Journal(path).read_logs(0)) == [LOGS[0], STATE, LOGS[1], LOGS[2]]


@pytest.mark.parametrize("damage", [bytes(40), b'{"op_code": oops}'])
def test_damage_that_no_crash_makes_is_refused_and_left_as_it_is(path, damage):
    lines = [json.dumps(log).encode() for log in (LOGS[0], STATE, LOGS[1], STATE, LOGS[2])]
    lines[2] = damage
    path.write_bytes(b"\n".join(lines) + b"\n")
    before = path.read_bytes()
    with pytest.raises(UserError, match="line 3 is damaged"):
        list(Journal(path).read_logs(0))
    assert path.read_bytes() == before


def test_a_file_that_is_no_journal_is_left_as_it_is(path):
    path.write_text("notes\nof mine\n")
    with pytest.raises(UserError, match="line 1 is damaged"):
        Journal(path)
    assert path.read_text() == "notes\nof mine\n"


def test_a_whole_journal_is_opened_without_a_word(path, recwarn):
    Journal(path).append_logs(LOGS)
    Journal(path)
    assert not recwarn.list
