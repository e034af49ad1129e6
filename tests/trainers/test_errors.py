import pytest

from trainers.errors import UserError, first_line


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("what\nwhere"), "what"),
        (UserError("\n  what  \nwhere"), "what"),
        (TimeoutError(), "TimeoutError"),
    ],
)
def test_an_error_is_told_in_its_first_line(error, line):
    assert first_line(error) == line
