"""A journal whose last record was cut off anywhere: nothing before it is lost."""

import json
import warnings

from nas.study.search_folder import JOURNAL
from nas.study.study import Study
from tests.nas.parts import open_study
from tests.nas.small_run import config

RUN = config(search={"sampler": "random", "trials": 9}, objectives=["dice", "params"])


def opened(directory) -> Study:
    directory.mkdir(exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what is mended, which test_journal.py reads
        return open_study(directory, RUN, lambda _: {"params": 1000, "macs": 10**6})


def end_one(study):
    """Ask for a candidate and tell its result."""
    candidate = study.ask()
    study.tell(candidate.result(state="complete", dice=0.5, epochs=3, curve=(0.1, 0.3, 0.5)))
    return study.find(candidate.key)


def last_records(text):
    """The byte where each of the lines begins that the last result wrote: what the trial is, its
    constraints and result, and its end; and the end of the file."""
    lines = text.splitlines(keepends=True)
    asked = max(n for n, line in enumerate(lines) if json.loads(line).get("op_code") == 4)
    return sum(map(len, lines[:asked])), len(text)


def test_cut_off_at_any_byte_the_study_opens_with_all_before_and_goes_on(tmp_path):
    whole = tmp_path / "whole"
    study = opened(whole)
    before = [end_one(study) for _ in range(2)]
    last = end_one(study)
    content = (whole / JOURNAL).read_bytes()
    start, end = last_records(content)
    line = content[:end].rfind(b"\n", 0, end - 1) + 1
    # All bytes of the last record, and of those of the same trial the first, the last and some.
    cuts = sorted({*range(line, end + 1), *range(start, line, 397)})
    assert len(cuts) > 50
    for cut in cuts:
        (whole / JOURNAL).write_bytes(content[:cut])
        again = opened(whole)
        assert again.results[:2] == before, cut
        # The result is in the record before the trial's end, or the trial is proposed again.
        if again.results[2:]:
            assert again.results[2:] == [last], cut
        else:
            asked = again.ask()
            assert asked is not None and asked.key not in {r.key for r in before}, cut


def test_the_search_goes_on_after_each_kind_of_cut(tmp_path):
    study = opened(tmp_path)
    first, last = end_one(study), end_one(study)
    content = (tmp_path / JOURNAL).read_bytes()
    for missing in (1, 2, 40):
        (tmp_path / JOURNAL).write_bytes(content[:-missing])
        again = opened(tmp_path)
        assert again.results == [first, last]  # its end alone was lost, its result was not
        third = end_one(again)
        assert opened(tmp_path).results == [first, last, third]
