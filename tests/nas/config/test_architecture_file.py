import json
import math

import pytest

from nas.config.architecture_file import load_architecture_file
from search_spaces.registry import architecture_record, find_preset
from search_spaces.space import ArchitectureError
from trainers.errors import UserError

PRESET = find_preset("hybrid-s")


@pytest.fixture
def file(tmp_path):
    return tmp_path / "a.json"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_an_architecture_is_read_whatever_editor_saved_it(file, encoding):
    record = architecture_record(PRESET) | {"result": {"dice": math.nan}}
    file.write_bytes(json.dumps(record).encode(encoding))
    assert load_architecture_file(file).key == PRESET.key


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ('"levels": 3', '"levels": 3, "levels": 4', '"levels" stands twice in one object'),
        ('"levels": 3', '"levels": true', "levels = True; expected one of"),
        ('"levels": 3', '"levels": NaN', "levels = nan; expected one of"),
        ('"levels": 3', '"level": 3', "architecture.level is unknown; "),
        ('"space": "hybrid"', '"space": "hybird"', "Did you mean hybrid?"),
        ("{", "", "is no JSON: "),
    ],
)
def test_an_architecture_that_says_two_things_or_none_is_refused(file, before, after, words):
    text = json.dumps(architecture_record(PRESET))
    assert before in text
    file.write_text(text.replace(before, after, 1))
    with pytest.raises((UserError, ArchitectureError)) as error:
        load_architecture_file(file)
    assert words in str(error.value) and str(error.value).startswith(str(file))
