import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainers.data.config import Groups, Split
from trainers.data.splits import Cases, split_cases
from trainers.errors import UserError

NAMES = [f"case_{number:03d}" for number in range(1, 41)]
PAIRS = Groups(pattern=r"case_(\d+)", size=2)


def parts(cases: Cases) -> tuple[int, int, int]:
    return len(cases.train), len(cases.validation), len(cases.test)


def test_shares_are_counted_in_cases():
    assert parts(split_cases(NAMES, Split(validation=0.25, test=0.1))) == (26, 10, 4)
    assert parts(split_cases(NAMES, Split(validation=0.25, test=0.1, groups=PAIRS))) == (26, 10, 4)


@given(
    count=st.integers(3, 40),
    validation=st.floats(0.01, 0.6),
    test=st.floats(0.01, 0.39),
    seed=st.integers(0, 1000),
)
def test_every_case_is_in_one_part_and_no_part_is_empty(count, validation, test, seed):
    split = Split(validation=validation, test=test, seed=seed)
    cases = split_cases(NAMES[:count], split)
    assert sorted(cases.train + cases.validation + cases.test) == NAMES[:count]
    assert min(parts(cases)) >= 1
    if count >= 20:
        assert abs(len(cases.validation) - validation * count) <= 1


@given(seed=st.integers(0, 1000), count=st.integers(6, 40), size=st.integers(2, 4))
def test_groups_stay_together(seed, count, size):
    groups = Groups(pattern=r"_(\d+)", size=size)
    if count <= 2 * size:
        return
    cases = split_cases(NAMES[:count], Split(validation=0.3, test=0.2, seed=seed, groups=groups))
    subjects = [
        {(int(name[-3:]) - 1) // size for name in part}
        for part in (cases.train, cases.validation, cases.test)
    ]
    assert not (subjects[0] & subjects[1] | subjects[0] & subjects[2] | subjects[1] & subjects[2])


def test_groups_by_text_stay_together():
    names = ["anna_1", "anna_2", "bob_1", "bob_2", "cy_1"]
    for seed in range(20):
        split = Split(validation=0.4, seed=seed, groups=Groups(pattern=r"^(\w+)_\d"))
        held = split_cases(names, split).validation
        assert ("anna_1" in held) == ("anna_2" in held)
        assert ("bob_1" in held) == ("bob_2" in held)


def test_numbers_start_at_1():
    split = Split(validation=0.5, groups=PAIRS)
    cases = split_cases(["case_1", "case_2", "case_3", "case_4"], split)
    assert {cases.train, cases.validation} == {("case_1", "case_2"), ("case_3", "case_4")}


@given(st.randoms())
def test_the_order_of_names_does_not_matter(shuffler: random.Random):
    shuffled = shuffler.sample(NAMES, len(NAMES))
    assert split_cases(shuffled, Split(test=0.2)) == split_cases(NAMES, Split(test=0.2))


def test_another_seed_is_another_split():
    assert split_cases(NAMES, Split(seed=1)) != split_cases(NAMES, Split(seed=2))


def test_too_few_groups_are_refused():
    with pytest.raises(UserError, match="1 groups cannot make 2 parts"):
        split_cases(["case_1", "case_2"], Split(groups=PAIRS))


@pytest.mark.parametrize(
    ("pattern", "size", "message"),
    [(r"patient_(\d+)", 1, "does not match"), (r"(case)_", 2, "expected a number")],
)
def test_a_pattern_that_does_not_fit_the_names_is_refused(pattern, size, message):
    with pytest.raises(UserError, match=message):
        split_cases(NAMES, Split(groups=Groups(pattern=pattern, size=size)))


@pytest.fixture
def file(tmp_path):
    def write(**content):
        path = tmp_path / "split.json"
        path.write_text(json.dumps(content))
        return path

    return write


@pytest.mark.parametrize("key", ["train", "training"])
def test_a_file_decides(file, key):
    path = file(**{key: ["case_002", "case_001"]}, validation=["case_003"], rule="by hand")
    assert split_cases(NAMES, path) == Cases(("case_001", "case_002"), ("case_003",))


def test_what_was_split_can_be_read_again(tmp_path):
    cases = split_cases(NAMES, Split(test=0.1))
    (tmp_path / "split.json").write_text(cases.to_json())
    assert split_cases(NAMES, tmp_path / "split.json") == cases


def test_a_split_without_test_can_be_read_again(tmp_path):
    cases = split_cases(NAMES, Split())
    (tmp_path / "split.json").write_text(cases.to_json())
    assert split_cases(NAMES, tmp_path / "split.json") == cases


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"training": ["case_001"]}, "`validation` is missing or empty"),
        ({"training": [], "validation": ["case_001"]}, "`training` is missing or empty"),
        ({"training": ["case_001"], "validation": ["case_001"]}, "case_001 named more than once"),
        ({"training": ["case_001"], "validation": ["ghost"]}, "ghost not in the data"),
        (
            {"training": ["case_001"], "validation": ["case_002"], "test": []},
            "`test` is empty",
        ),
        ({"training": [1], "validation": ["case_001"]}, "expected case names"),
        ({"train": ["case_001"], "training": ["case_001"], "validation": ["case_002"]}, "has both"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(file, content, message):
    with pytest.raises(UserError, match=message):
        split_cases(NAMES, file(**content))


def test_a_missing_or_broken_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"split\.json is missing"):
        split_cases(NAMES, tmp_path / "split.json")
    (tmp_path / "split.json").write_text("{")
    with pytest.raises(UserError, match="no JSON"):
        split_cases(NAMES, tmp_path / "split.json")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"training": ["case_001"],\n "training": []}', "twice .* line 2 column 2"),
        ('{"training": NaN}', "NaN is no number of JSON"),
    ],
)
def test_a_file_that_says_two_things_is_refused(tmp_path, text, message):
    (tmp_path / "split.json").write_text(text)
    with pytest.raises(UserError, match=message):
        split_cases(NAMES, tmp_path / "split.json")


def test_a_file_with_a_byte_order_mark_is_read(tmp_path):
    text = '{"training": ["case_001"], "validation": ["case_002"]}'
    (tmp_path / "split.json").write_text(text, encoding="utf-8-sig")
    assert split_cases(NAMES, tmp_path / "split.json") == Cases(("case_001",), ("case_002",))


@pytest.mark.parametrize(
    ("key", "part"),
    [("tets", "test"), ("val", "validation"), ("Training", "training"), ("testing", "test")],
)
def test_a_list_under_a_mistyped_key_is_not_left_out(tmp_path, key, part):
    file = tmp_path / "split.json"
    file.write_text(json.dumps({"training": ["a"], "validation": ["b"], key: ["c"]}))
    with pytest.raises(UserError, match=f"`{key}` is no part of a split. Did you mean {part}"):
        split_cases("abc", file)


def test_a_list_of_something_else_may_stand_there(tmp_path):
    file = tmp_path / "split.json"
    file.write_text(json.dumps({"training": ["a"], "validation": ["b"], "excluded": ["c"]}))
    assert split_cases("abc", file).train == ("a",)


def test_names_that_the_data_do_not_have_are_shown_beside_those_that_they_have(tmp_path):
    file = tmp_path / "split.json"
    file.write_text(json.dumps({"training": ["A.nii.gz"], "validation": ["b"]}))
    with pytest.raises(
        UserError, match=r"A\.nii\.gz not in the data, whose cases are a, b, c, \.\.\."
    ):
        split_cases("abcd", file)
