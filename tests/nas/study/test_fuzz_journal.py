"""Journals that a disk, an editor or a stranger changed."""

import json
import shutil
import warnings

import pytest

from nas.config.run_config import RunConfig
from nas.config.yaml_file import read_config
from nas.pareto.budget import Budget
from nas.study.search_folder import JOURNAL
from nas.study.stored_results import read_records
from tests.fuzz import damaged_bytes, damaged_value, everything, problems
from tests.nas.parts import open_study
from tests.nas.small_search import ended_search


@pytest.fixture(scope="module")
def search(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ended_search(folder)
    return folder


def attempts(search, folder):
    """Reads a damaged journal, and goes on with it, as `segnas report` and `segnas search` do."""
    config = read_config(RunConfig, search / "config.yaml")
    content = (search / JOURNAL).read_bytes()

    def attempt(draw):
        if draw.random() < 0.4:
            damaged = damaged_bytes(draw, content)
        else:
            lines = content.splitlines()
            at = draw.randrange(len(lines))
            value = damaged_value(draw, json.loads(lines[at]))
            lines[at] = json.dumps(value).encode()
            damaged = b"\n".join(lines) + b"\n"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(search, folder)
        (folder / JOURNAL).write_bytes(damaged)
        if draw.random() < 0.5:
            read_records(folder, "hybrid", Budget())
        else:
            study = open_study(folder, config, lambda _: {"params": 1000, "macs": 10**6})
            study.ask()

    return attempt


def test_a_damaged_journal_is_refused_in_a_line_or_mended(search, tmp_path):
    outside = everything(tmp_path)
    attempt = attempts(search, tmp_path / "copy")
    assert problems(attempt, range(25)) == []
    assert everything(tmp_path, but=tmp_path / "copy") == outside


@pytest.mark.slow
def test_a_thousand_more(search, tmp_path):
    assert problems(attempts(search, tmp_path / "copy"), range(25, 1025)) == []
