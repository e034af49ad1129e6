"""YAML 1.2's core schema: every value is what it looks like."""

import math

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nas.config import yaml_values
from nas.config.yaml_file import read_yaml, to_yaml
from trainers.errors import UserError


def refused(text: str) -> str:
    with pytest.raises(yaml.YAMLError) as error:
        yaml_values.load(text)
    return yaml_values.problem(error.value)


# YAML 1.2.2, section 10.3.2, and its example 10.9
@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("null", None), ("Null", None), ("NULL", None), ("~", None), ("", None)),
        *(("true", True), ("True", True), ("FALSE", False)),
        *(("0", 0), ("0o7", 7), ("0x3A", 58), ("-19", -19), ("010", 10), ("0o10", 8), ("+12", 12)),
        *(("0.", 0.0), ("-0.0", -0.0), (".5", 0.5), ("+12e03", 12000.0), ("-2E+05", -200000.0)),
        *((".inf", math.inf), ("-.Inf", -math.inf), ("+.INF", math.inf)),
        *(("1e-3", 0.001), ("-.5e1", -5.0)),
    ],
)
def test_scalars_of_the_core_schema(text, value):
    found = yaml_values.load(f"x: {text}")["x"]
    assert found == value and type(found) is type(value)
    assert yaml_values.plain(text) == value


def test_nan_is_a_number():
    assert math.isnan(yaml_values.load(".nan"))


@pytest.mark.parametrize(
    "text",
    [
        *("1:30", "1:05", "12:30:00", "190:20:30.15", "1_000", "0b1", "0o8", "-0o7", "0xG"),
        *("yes", "no", "on", "off", "y", "N", "tRUE", "2026-01-01", "2026-01-01T12:30:00Z"),
        *("=", "1e", "e3", ".", "+", "-.nan", "٣", "1.2.3", "1-3", "inf", "nan", "infinity"),
    ],
)
def test_what_is_no_number_in_yaml_1_2_is_text(text):
    assert yaml_values.load(f"x: {text}") == {"x": text}
    assert yaml_values.load(f"{text}: x") == {text: "x"}
    assert yaml_values.plain(text) == text


def test_quoted_text_is_text():
    assert yaml_values.load("""[ "3", '1e3', "true", "", 'null', !!str 3 ]""") == [
        *("3", "1e3", "true", "", "null", "3")
    ]


# What is refused


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("a: 1\nb: 2\na: 3\n", (1, 3)),
        ("a:\n  - b: {c: 1,\n     c: 2}\n", (2, 3)),
        ("a: 1\n'a': 2\n", (1, 2)),
        ("x: &x {a: 1}\ny:\n  <<: *x\n  <<: *x\n", (3, 4)),
        ("1: a\n0x1: b\n", (1, 2)),
        ("x: &x\n  a: 1\n  a: 2\ny:\n  <<: *x\n", (2, 3)),
    ],
)
def test_a_key_that_stands_twice_is_refused_with_both_lines(text, lines):
    first, second = lines
    assert f"stands twice in one mapping, on line {first} and on line {second}" in refused(text)


def test_keys_of_different_mappings_may_be_the_same():
    assert yaml_values.load("a: {x: 1}\nb: {x: 2}") == {"a": {"x": 1}, "b": {"x": 2}}


def test_a_merged_key_gives_way_to_the_mappings_own():
    text = "a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\nc:\n  <<: [*a, *b]\n  x: 3\n"
    assert yaml_values.load(text)["c"] == {"x": 3, "y": 1, "z": 2}


def test_what_an_alias_stands_for_is_a_copy():
    values = yaml_values.load("a: &a {x: 1}\nb: *a\n")
    values["a"]["x"] = 2
    assert values["b"] == {"x": 1}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: &a [*a, *a]", "an alias stands within what it stands for"),
        ("a: &a {b: *a}", "an alias stands within what it stands for"),
        ("x: &x\n  <<: *x\n", "an alias stands within what it stands for"),
        ("[" * 51 + "]" * 51, "nested deeper than 50 levels"),
        ("[" * 100_000, "nested deeper than 50 levels"),
        ("{a: " * 100_000, "nested deeper than 50 levels"),
        ("? " * 1_000, "nested deeper than 50 levels"),
        ("? [a, b]\n: 1", "a key is a list or a mapping"),
        ("a: " + "9" * 5_000, "has 5000 digits; expected 300 at most"),
        ("a: 1e999", "1e999 is too large for a number"),
        ("a: !!int x", "'x' is no int"),
        ("a: !!bool yes", "'yes' is no bool"),
        ("a: !!timestamp 2026-01-01", "'!!timestamp' is none of YAML's core schema"),
        ("a: !!set {x}", "'!!set' is none of YAML's core schema"),
        ("a: !mine x", "'!mine' is none of YAML's core schema"),
        ("<<: 3", "<< has no mapping to merge"),
        ('a: "\\0"', "is no text"),
        ('a: "\\uD800"', "is no text"),
    ],
)
def test_what_no_configuration_needs_is_refused_in_a_line(text, words):
    message = refused(text)
    assert words in message and len(message) <= 400 and "\n" not in message


def test_a_billion_laughs_are_refused():
    text = "l0: &l0 ha\n" + "".join(
        f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]\n" for n in range(1, 10)
    )
    assert refused(text).startswith("aliases make it too large; write out what is meant (line 7")


def test_a_chain_of_aliases_is_as_deep_as_what_it_stands_for():
    text = "l0: &l0 ha\n" + "".join(f"l{n}: &l{n} [*l{n - 1}]\n" for n in range(1, 60))
    assert "aliases make it too large" in refused(text)


# Files


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_a_file_is_read_with_and_without_a_byte_order_mark(tmp_path, encoding):
    (tmp_path / "a.yaml").write_bytes("name: größe\r\nx: 1\r\n".encode(encoding))
    assert read_yaml(tmp_path / "a.yaml") == {"name": "größe", "x": 1}


def test_latin_1_is_refused_with_the_place(tmp_path):
    (tmp_path / "a.yaml").write_bytes("name: größe".encode("latin-1"))
    with pytest.raises(UserError, match="is no YAML: byte 9 is no UTF-8; save it as UTF-8"):
        read_yaml(tmp_path / "a.yaml")


def test_a_file_that_cannot_be_a_configuration_is_refused_unread(tmp_path):
    with (tmp_path / "a.yaml").open("wb") as file:
        file.truncate(1 << 30)
    with pytest.raises(UserError, match="more than 128 KiB"):
        read_yaml(tmp_path / "a.yaml")


# Writing

ODD = [
    *("010", "yes", "no", "1:30", "1e3", "1e-3", "0o10", "0x1f", "1_000", "2026-01-01", "null"),
    *("~", "", " ", " a", "a ", "a: b", "a #b", "#", "<<", "=", "- a", "[", "{", "'", '"', "*"),
    *("&a", "!x", "%", "@", "`", "|", ">", "---", "...", "?", ":", "true", ".5e3", "1.5e3", ".inf"),
    *("a\nb", "\t", "\x85", "\u2028", "\ufeff", "é", "\U0001f9e0", "+.5", "-", "0", "1.", "1.e+5"),
]
TEXT = st.one_of(
    st.sampled_from(ODD),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20),
    st.text("0123456789+-.eExo_:ntf~yN ", max_size=8),
)
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-(10**30), 10**30), st.floats(), TEXT)


@settings(suppress_health_check=[HealthCheck.too_slow])  # as on a busy machine
@given(st.dictionaries(TEXT, st.one_of(SCALARS, st.lists(SCALARS), st.dictionaries(TEXT, SCALARS))))
def test_what_was_written_reads_back_the_same(values):
    assert repr(yaml_values.load(to_yaml(values))) == repr(values)


@given(st.dictionaries(TEXT, SCALARS))
def test_what_other_programs_wrote_as_yaml_1_1_keeps_its_booleans_and_text(values):
    """All but text such as 1e3, which YAML 1.1 has no quotes for; 1E400 is refused."""
    try:
        found = yaml_values.load(yaml.safe_dump(values))
    except yaml.MarkedYAMLError as error:
        assert "too large for a number" in str(error)
        return
    same = [k for k, v in values.items() if not _plain_number(k) and not _plain_number(v)]
    assert {key: repr(found[key]) for key in same} == {key: repr(values[key]) for key in same}


def _plain_number(value: object) -> bool:
    return isinstance(value, str) and not isinstance(yaml_values.plain(value), str)
