"""front.json of others, damaged, read as `segnas front` reads it."""

import io
import json

import pytest

from nas.pareto.front_files import front_csv, read_front
from nas.report.safe_console import SafeConsole
from nas.report.terminal_tables import front_table
from tests.fuzz import damaged_json, problems
from tests.nas.small_search import tracked_search


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    folder = tmp_path_factory.mktemp("search")
    tracked_search(folder, tracking={"enabled": False})
    return (folder / "front.json").read_text()


def test_a_damaged_front_is_refused_in_a_line_or_shown(text, tmp_path):
    json.loads(text)
    console = SafeConsole()
    console.file = io.StringIO()

    def attempt(draw):
        (tmp_path / "front.json").write_bytes(damaged_json(draw, text))
        front = read_front(tmp_path)
        console.print(front_table(front))
        front_csv(front)

    assert problems(attempt, range(200)) == []
    assert "\x1b]" not in console.file.getvalue()
