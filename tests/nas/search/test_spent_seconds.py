import io
from types import SimpleNamespace

import pytest
from rich.console import Console

from nas.search import run as searches
from nas.search.spent_seconds import SPENT, keep_spent, read_spent
from tests.disk import small_files
from tests.nas.small_run import config
from trainers.errors import UserError


def test_what_is_kept_is_read_and_before_there_is_nothing(tmp_path):
    assert read_spent(tmp_path) == 0.0
    keep_spent(tmp_path, 12.5)
    assert read_spent(tmp_path) == 12.5


def test_a_full_disk_is_a_warning_and_what_was_kept_stays(tmp_path):
    keep_spent(tmp_path, 12.5)
    with small_files(4), pytest.warns(UserWarning, match=r"spent\.json cannot be written"):
        keep_spent(tmp_path, 99.0)
    assert read_spent(tmp_path) == 12.5


@pytest.mark.parametrize("text", ["", "{}", '{"seconds": "a"}', "[]"])
def test_a_damaged_file_is_told(tmp_path, text):
    (tmp_path / SPENT).write_text(text)
    with pytest.raises(UserError, match=r"spent\.json is damaged .* delete it"):
        read_spent(tmp_path)


def test_a_session_spends_from_when_its_data_are_prepared(tmp_path, monkeypatch):
    """Latencies are measured, and Ray and MLflow started, before its first trial."""
    made = []
    make = searches._time

    def keep(*arguments):
        made.append(make(*arguments))
        return made[-1]

    def begin(*_):
        assert 0 < made[0].spent < made[0].spent
        raise KeyboardInterrupt

    monkeypatch.setattr(searches, "open_place", lambda *_: SimpleNamespace(slots=1))
    monkeypatch.setattr(searches, "_time", keep)
    monkeypatch.setattr(searches, "begin", begin)
    keep_spent(tmp_path, 1e-9)
    with pytest.raises(KeyboardInterrupt):
        searches.run_search(config(), tmp_path, Console(file=io.StringIO()))
