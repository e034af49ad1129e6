"""Cases prepared by several processes, ended in the middle, and gone on with."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.slow import and_slow
from trainers import processes
from trainers.data import build_cache as cache_module
from trainers.data import prepare_case
from trainers.data.build_cache import build_cache
from trainers.data.check import examine, one_case
from trainers.data.config import Preprocess
from trainers.data.msd import read_msd
from trainers.errors import UserError
from trainers.processes import in_processes, processes_for

from .volumes import write_msd

CHOSEN = Preprocess(spacing=(1.2, 1.0, 0.9))
NAMES = [f"case_{n:02}" for n in range(8)]


@pytest.fixture
def many(tmp_path) -> Path:
    return write_msd(tmp_path / "data", NAMES)


def use(monkeypatch, count: int) -> None:
    monkeypatch.setattr(processes, "WORTH_PROCESSES", 0)
    monkeypatch.setattr(processes, "usable_cores", lambda: count)


def content(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_any_number_of_processes_makes_the_same_bytes(many, tmp_path, monkeypatch):
    alone = content(build_cache(read_msd(many), CHOSEN, tmp_path / "one").folder)
    use(monkeypatch, 3)
    steps = []
    cache = build_cache(read_msd(many), CHOSEN, tmp_path / "three", lambda *s: steps.append(s))
    assert content(cache.folder) == alone
    assert [path.name for path in (tmp_path / "three").iterdir()] == [cache.folder.name]
    assert steps == [(n, 8, verb) for verb in ("checked", "prepared") for n in range(1, 9)]


def test_a_check_finds_the_same(many, monkeypatch):
    (many / "labelsTr" / "case_03.nii.gz").write_bytes(b"")
    alone = examine(read_msd(many))
    use(monkeypatch, 3)
    assert examine(read_msd(many)) == alone
    assert [finding.case for finding in alone.findings] == ["case_03"]


@pytest.mark.parametrize("count", [1, 3])
def test_a_case_that_fails_tells_its_name(many, tmp_path, monkeypatch, count):
    """A file that is spoilt after the check."""
    use(monkeypatch, count)

    def spoilt(*arguments):
        found = examine(*arguments)
        (many / "imagesTr" / "case_05.nii.gz").write_bytes(b"no volume")
        return found

    monkeypatch.setattr(cache_module, "examine", spoilt)
    monkeypatch.setattr(cache_module, "_median_voxel", lambda *_: (1.0, 1.0, 1.0))
    with pytest.raises(UserError, match=r"case_05\.nii\.gz cannot be read"):
        build_cache(read_msd(many), CHOSEN, tmp_path / "cache")


def test_what_was_finished_is_not_done_again(many, tmp_path, monkeypatch):
    expected = content(build_cache(read_msd(many), CHOSEN, tmp_path / "whole").folder)
    prepared, checked = [], []
    prepare, read = prepare_case.prepare_image, one_case.CaseCheck.read

    def killed(path, *rest):
        if len(prepared) == 5:
            raise KeyboardInterrupt
        prepared.append(path.name)
        return prepare(path, *rest)

    def noted(self):
        checked.append(self.case.name)
        return read(self)

    monkeypatch.setattr(prepare_case, "prepare_image", killed)
    monkeypatch.setattr(one_case.CaseCheck, "read", noted)
    with pytest.raises(KeyboardInterrupt):
        build_cache(read_msd(many), CHOSEN, tmp_path / "cache")
    monkeypatch.setattr(
        prepare_case,
        "prepare_image",
        lambda path, *rest: (prepared.append(path.name), prepare(path, *rest))[1],
    )
    cache = build_cache(read_msd(many), CHOSEN, tmp_path / "cache")
    assert content(cache.folder) == expected
    assert checked == NAMES and prepared == [f"{name}.nii.gz" for name in NAMES]
    assert list((tmp_path / "cache").iterdir()) == [cache.folder]


def test_a_full_disk_is_told_with_the_folder(many, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(prepare_case, "prepare_image", full)
    with pytest.raises(OSError, match=f"No space left on device: '{tmp_path}/cache/.*/prepared/"):
        build_cache(read_msd(many), CHOSEN, tmp_path / "cache")


SCRIPT = """
import os, sys, time
from pathlib import Path
from trainers.processes import in_processes

def slow(number):
    Path(sys.argv[1], f"{number}-{os.getpid()}").touch()
    time.sleep(60)

if __name__ == "__main__":
    list(in_processes(slow, range(4), 2))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("number", and_slow([signal.SIGINT], [signal.SIGKILL]))
def test_an_end_ends_all_processes_at_once(tmp_path, number):
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "begun").mkdir()
    run = subprocess.Popen(
        [sys.executable, tmp_path / "script.py", tmp_path / "begun"],
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    begun = wait_for(
        lambda: found if len(found := list((tmp_path / "begun").iterdir())) == 2 else 0
    )
    started = time.monotonic()
    run.send_signal(number)
    run.wait(timeout=10)
    ids = [int(file.name.partition("-")[2]) for file in begun]
    wait_for(lambda: not any(Path(f"/proc/{one}").exists() for one in ids), 10)
    assert time.monotonic() - started < 10


def wait_for(condition, seconds: float = 60):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end
        time.sleep(0.05)
    return found


def dies(number: int) -> None:
    os._exit(1)


def test_a_process_that_dies_is_told():
    with pytest.raises(UserError, match="a process that read cases died"):
        list(in_processes(dies, [1, 2], 2))


def test_processes_are_as_many_as_memory_holds(monkeypatch):
    use(monkeypatch, 4)
    monkeypatch.setattr(processes, "free_memory", lambda: 1000)
    assert processes_for([100] * 9) == 4
    assert processes_for([100, 300, 100]) == 2
    assert processes_for([5000] * 3) == 1
