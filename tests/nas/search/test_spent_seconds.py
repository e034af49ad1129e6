import pytest

from nas.search.spent_seconds import SPENT, keep_spent, read_spent
from tests.disk import small_files
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
