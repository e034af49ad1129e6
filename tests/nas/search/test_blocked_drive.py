"""A drive that does not answer for a while, as network drives do: whoever writes waits."""

import threading
import time

import pytest

from nas.study.journal import Journal
from nas.study.search_folder import JOURNAL
from tests.disk import drive
from tests.nas.search.test_killed_search import left_of, searching, told, wait_for

LOGS = [{"op_code": 6, "worker_id": "w", "state": 1, "trial_id": n} for n in range(2)]


def test_what_is_written_meanwhile_is_there_afterwards(tmp_path, recwarn):
    (folder := tmp_path / "search").mkdir()
    with drive(folder, tmp_path / "image", 2**23) as block:
        writer = Journal(folder / JOURNAL)
        writer.append_logs(LOGS[:1])
        block(True)
        threading.Timer(0.5, block, [False]).start()
        began = time.monotonic()
        writer.append_logs(LOGS[1:])
        assert time.monotonic() - began > 0.4
        assert list(Journal(folder / JOURNAL).read_logs(0)) == LOGS
    assert not recwarn.list


@pytest.mark.slow
def test_a_search_whose_drive_is_away_for_a_minute_loses_no_worker_and_no_result(tmp_path):
    """No trial may lose its worker: the first loss would make it infeasible."""
    (folder := tmp_path / "search").mkdir()
    with drive(folder, tmp_path / "image", 2**28) as block:
        settings = ("search.trials=4", "search.retries=0", "search.baselines=[]")
        process = searching(tmp_path, *(word for one in settings for word in ("--set", one)))
        wait_for(process, tmp_path, "checkpoints/*.pt")
        before = told(tmp_path)
        block(True)
        try:
            time.sleep(60)
            assert process.poll() is None
        finally:
            block(False)
        assert process.wait(timeout=300) == 0, (tmp_path / "printed.txt").read_text()
        results = told(tmp_path)
        assert results[: len(before)] == before
        assert [(r["state"], len(r["curve"])) for r in results] == [("complete", 8)] * 4
        assert len({result["key"] for result in results}) == 4
        assert left_of(process) == []
