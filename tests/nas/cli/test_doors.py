"""Small things that a person may type, each told in a line."""

import pytest
from rich.prompt import Confirm

from nas.cli import search
from nas.config.tracking import TrackingConfig
from nas.search.stages import Stages
from tests.nas.small_search import ended_search


@pytest.mark.parametrize("to", [".", "/"])
def test_a_folder_is_no_file_for_a_plan_or_a_comparison(to, tmp_path, segnas):
    assert "a folder; give another file" in segnas.refused("init", tmp_path, "--to", to)
    assert "a folder; give a file" in segnas.refused("compare", "a", "b", "--to", to)


def test_the_end_of_the_input_is_no_answer(tmp_path, monkeypatch):
    """Ctrl-D, where the search asks whether it is to go on with an old one."""
    ended_search(tmp_path)

    def closed(*_, **__):
        raise EOFError

    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr(Confirm, "ask", closed)
    with Stages(None) as stages:
        assert not search._agreed(tmp_path, False, stages)


def test_an_empty_address_of_mlflow_is_none():
    assert TrackingConfig(uri="").uri is None


def test_a_list_of_the_data_that_is_too_long_is_told(segnas):
    wrong = "data.preprocess.window=[-175, 250, 0]"
    assert "expected 2 items, not 3" in segnas.refused(
        "check", "configs/quickstart.yaml", "--set", wrong
    )
