"""`--set key=value`: which value it is."""

import pytest

from nas.config.settings import change
from trainers.errors import UserError


def changed(setting: str, **values):
    change(values, setting)
    return values


def refused(setting: str, **values) -> str:
    with pytest.raises(UserError) as error:
        change(values, setting)
    return str(error.value).removeprefix(f"--set {setting}: ")


@pytest.mark.parametrize(
    "text",
    [
        *("/a b #1", "a: b", "*", "*a", "&a", "!x", "!!int 3", "- a", "? a", "|", ">", "%x", "@a"),
        *("http://h:5000", "http://h:5000/a=b", "a, b", "a]", "a}", "#1", "a'b", "--- a", "a\\b"),
        *("1:30", "yes", "2026-01-01", "1_000", "ä ü", "<<", "=", "a=b"),
    ],
)
def test_text_is_taken_whole(text):
    assert changed(f"x={text}") == {"x": text}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("3", 3), (" 3 ", 3), ("010", 10), ("1e-3", 0.001), ("true", True), ("null", None)),
        *(("[1, a]", [1, "a"]), ("{a: {b: 1}}", {"a": {"b": 1}}), ("'3'", "3"), ('"a #b"', "a #b")),
        *(('""', ""), ("' a'", " a"), ("[1] # and a comment", [1])),
    ],
)
def test_numbers_and_yaml_in_brackets_or_quotes_are_read(text, value):
    assert changed(f"x={text}") == {"x": value}


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("x=", "no value; write null for none"),
        ("x=  ", "no value; write null for none"),
        ("x=[1,", "'[1,' is no YAML value: "),
        ("x={a: 1, a: 2}", "'a' stands twice in one mapping"),
        ("x='a': b", "text follows the quote"),
        ("x='a' b", "is no YAML value"),
        ("x=[1] b", "is no YAML value"),
        ("x=[*a]", "undefined alias"),
        ("x=" + "[" * 1000, "nested deeper than 50 levels"),
        ("x=1e999", "1e999 is too large for a number"),
        ("search..trials=3", "'search..trials' is not a key: it has an empty word"),
        ("search.=3", "'search.' is not a key"),
        (".seed=3", "'.seed' is not a key"),
        ("=3", "expected key=value"),
        ("search", "expected key=value"),
    ],
)
def test_what_sets_nothing_is_refused_in_a_line(setting, words):
    message = refused(setting)
    assert words in message and "\n" not in message


def test_the_last_one_wins():
    values = changed("a.b=1", a={"c": 2})
    assert values == {"a": {"b": 1, "c": 2}}
    change(values, "a=2")
    assert values == {"a": 2}


def test_a_key_below_a_value_is_refused_and_the_value_kept():
    values = {"split": "cases.json"}
    assert refused("split.seed=1", **values) == (
        "split is 'cases.json', which has no keys; set split itself"
    )
    assert (
        refused("patch.0=3", patch=[1, 2]) == "patch is [1, 2], which has no keys; set patch itself"
    )


def test_a_key_that_is_written_with_dots_is_changed_there():
    values = changed("space.restrict.tokens.prune=[0]", space={"restrict": {"tokens.prune": [0.5]}})
    assert values == {"space": {"restrict": {"tokens.prune": [0]}}}


def test_keys_below_none_are_the_first_ones():
    assert changed("stopping.grace=2", stopping=None) == {"stopping": {"grace": 2}}
