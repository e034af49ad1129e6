"""A journal whose last record was cut off anywhere: nothing before it is lost."""

import warnings

import pytest

from nas.study.journal import Journal
from nas.study.search_folder import JOURNAL
from nas.study.study import Study
from tests.nas.parts import open_study
from tests.nas.small_run import config

RUN = config(search={"sampler": "random", "trials": 9}, objectives=["dice", "params"])


@pytest.fixture(autouse=True)
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what is mended, which test_journal.py reads
        yield


def opened(directory) -> Study:
    return open_study(directory, RUN, lambda _: {"params": 1000, "macs": 10**6})


def end_one(study):
    """Ask for a candidate and tell its result."""
    candidate = study.ask()
    study.tell(candidate.result(state="complete", dice=0.5, epochs=3, curve=(0.1, 0.3, 0.5)))
    return study.find(candidate.key)


@pytest.fixture
def told(tmp_path):
    """The journal's path, its content, and the three results that it holds."""
    study = opened(tmp_path)
    results = [end_one(study) for _ in range(3)]
    return tmp_path / JOURNAL, (tmp_path / JOURNAL).read_bytes(), results


def starts(content):
    """The byte where each line begins, and the end."""
    return [0, *(n + 1 for n, byte in enumerate(content) if byte == 0x0A)]


def test_cut_off_at_any_byte_all_earlier_records_are_read(told):
    """Of the last record, which ends the trial, and with larger steps of those before it, the
    result among them."""
    path, content, _ = told
    begins = starts(content)
    logs = list(Journal(path).read_logs(0))
    cuts = sorted({*range(begins[-2], begins[-1] + 1), *range(begins[-6], begins[-2], 31)})
    assert len(cuts) > 100
    for cut in cuts:
        path.write_bytes(content[:cut])
        whole = sum(begin <= cut for begin in begins[1:])
        whole += cut + 1 in begins[1:]  # all but the end of the line
        assert list(Journal(path).read_logs(0)) == logs[:whole], cut


@pytest.mark.parametrize("kept", [True, False], ids=["of its end", "of its result"])
@pytest.mark.parametrize("share", [0.1, 0.9])
def test_the_study_opens_with_all_earlier_results_and_goes_on(told, kept, share):
    path, content, results = told
    *before, last = results
    lines = content.splitlines(keepends=True)
    cut = len(lines) - 1 if kept else max(n for n, one in enumerate(lines) if b'"result"' in one)
    part = lines[cut][: round(share * len(lines[cut]))]
    path.write_bytes(b"".join(lines[:cut]) + part)
    again = opened(path.parent)
    assert again.results == (results if kept else before)
    if not kept:
        assert again.ask().key == last.key  # what was under way comes first
    new = end_one(again)
    assert opened(path.parent).find(new.key) == new
