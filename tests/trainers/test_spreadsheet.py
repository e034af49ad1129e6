import csv
import io
from dataclasses import fields, replace
from types import SimpleNamespace

import pytest

from trainers.evaluate import Evaluation, Score
from trainers.spreadsheet import cell


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "=HYPERLINK(0)"]
)
def test_text_that_would_be_computed_is_text(text):
    assert cell(text) == f"'{text}"


@pytest.mark.parametrize("value", ["liver", "a=b", "", " =1", -0.5, 3, None])
def test_other_cells_stay_as_they_are(value):
    assert cell(value) is value


def test_no_case_and_no_class_is_computed_in_an_evaluation():
    undefined = dict.fromkeys(field.name for field in fields(Score))
    score = Score(**undefined | {"case": "=cmd|' /C calc'!A0", "label": "@class", "dice": 0.5})
    scores = [score, replace(score, case="-1", label="a")]
    _, *rows = csv.reader(io.StringIO(Evaluation.to_csv(SimpleNamespace(scores=scores))))
    assert [row[:3] for row in rows] == [
        ["'=cmd|' /C calc'!A0", "'@class", "0.5"],
        ["'-1", "a", "0.5"],
    ]
