import json

import pytest

from trainers.errors import UserError
from trainers.read_json import read_json


@pytest.fixture
def file(tmp_path):
    return tmp_path / "a.json"


def refused(file, text: str) -> str:
    file.write_text(text)
    with pytest.raises(UserError) as error:
        read_json(file)
    return str(error.value).removeprefix(f"{file}")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_a_file_is_read_with_and_without_a_byte_order_mark(file, encoding):
    mark = "\ufeff" if encoding == "utf-16-le" else ""
    file.write_bytes(f'{mark}{{"größe": [1, 2.5, null]}}'.encode(encoding))
    assert read_json(file) == {"größe": [1, 2.5, None]}


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ('{"1": "liver", "1": "tumour"}', ("line 1 column 2", "line 1 column 16")),
        ('{"a":\n [{"b": {}, "c": {"x": 1,\n"x": 2}}]}', ("line 2 column 19", "line 3 column 1")),
        ('{"a": 1,\n"\\u0061": 2}', ("line 1 column 2", "line 2 column 1")),
        ('{"a": {"b": 1}, "c": "a", "a": 2}', ("line 1 column 2", "line 1 column 27")),
    ],
)
def test_a_key_that_stands_twice_is_refused_with_both_places(file, text, places):
    assert f"at {places[0]} and at {places[1]}; keep one" in refused(file, text)


def test_keys_of_different_objects_and_values_may_be_the_same(file):
    text = '{"a": {"a": ["a", {"a": "a\\":{"}]}, "b": {"a": "a"}, "{": "}"}'
    file.write_text(text)
    assert read_json(file) == json.loads(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"a": NaN}', "NaN is no number of JSON"),
        ("[-Infinity]", "-Infinity is no number of JSON"),
        ("1e999", "1e999 is too large for a number"),
        ("9" * 5000, "a number has 5000 digits"),
        ("[" * 100_000, "is nested too deeply"),
        ('{"a": ' * 100_000, "is nested too deeply"),
        ('["\\ud800"]', "the string at line 1 column 2 is no text"),
        ("{", "line 1 column 2"),
        ("", "line 1 column 1"),
        ("{'a': 1}", "double quotes"),
        ('{"a": 1,}', "line 1 column"),
    ],
)
def test_what_is_no_json_is_refused_in_a_line(file, text, words):
    message = refused(file, text)
    assert words in message and "\n" not in message and len(message) < 200


def test_results_of_ones_own_may_hold_nan(file):
    file.write_text("[NaN]")
    (found,) = read_json(file, finite=False)
    assert found != found


def test_a_missing_file_is_named(file):
    with pytest.raises(UserError, match=r"a\.json: No such file"):
        read_json(file)


def test_bytes_that_are_no_text_are_told(file):
    file.write_bytes(b'{"a": "\xff"}')
    with pytest.raises(UserError, match="no JSON: byte 8 is no UTF-8; save it as UTF-8"):
        read_json(file)
