"""Names of classes, baselines and data are text in every file that a person opens."""

import csv
import io
import json
import re
from dataclasses import replace

import pytest

from nas.export.markdown_text import plain
from nas.export.model_card import model_card
from nas.pareto.front_files import Front, front_csv
from nas.report.markdown import report_text
from nas.report.read_search import read_search
from nas.report.tables import latex_table
from nas.report.write_report import write_report
from tests.nas.exports import write_export
from tests.nas.results import flat_result
from tests.nas.small_search import ended_search

MARKUP = "<img src=x onerror=alert(1)>|[a](javascript:b) `c` *d*"
LATEX = r"\input{/etc/passwd}%$_#&~^"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("left_ventricle", "left_ventricle"),
        ("CT 1.5 mm (a-b)", "CT 1.5 mm (a-b)"),
        ("_a_", r"\_a\_"),
        ("a|b<c>", r"a\|b\<c\>"),
        ("[a](b)", r"\[a\](b)"),
        ("a\n# b", "a # b"),
        ("&lt;", r"\&lt;"),
    ],
)
def test_markdown_shows_text_as_it_is(text, shown):
    assert plain(text) == shown


def test_a_report_holds_names_as_text(tmp_path):
    (tmp_path / "search").mkdir()
    ended_search(tmp_path / "search")
    config, record = read_search(tmp_path / "search")
    named = replace(record, classes=(MARKUP, LATEX), title=LATEX)
    text = report_text(config, named, [])
    assert "<img" not in text.replace(r"\<img", "") and "](javascript" not in text.replace(
        r"\](javascript", ""
    )
    rows = [re.sub(r"\\.", "", line) for line in text.splitlines() if line.startswith("| ")]
    table = rows[rows.index(next(row for row in rows if row.startswith("| Network"))) :]
    assert {row.count("|") for row in table} == {table[0].count("|")}
    latex = latex_table(named)
    assert not re.search(r"(?<!\\textbackslash\{\})\\input|(?<!\\)[%$#&](?=\\_)", latex)
    assert re.search(r"\\label\{tab:front-[\w.-]*\}", latex)
    write_report(config, named, tmp_path / "to")
    assert "<img" not in (tmp_path / "to" / "front.html").read_text()


def test_a_model_card_holds_names_as_text(tmp_path, phantom_folder, phantom):
    names = ("background", MARKUP, "aorta {0}", "a|b {")
    folder = write_export(tmp_path / "out", phantom_folder, phantom[1], classes=names)
    record = json.loads((folder / "architecture.json").read_text())
    origin = {"search": MARKUP, "search_id": "<b>", "versions": {"<i>": "[x](y)"}}
    (folder / "architecture.json").write_text(json.dumps({**record, "origin": origin}))
    card = re.sub(r"\\.", "", model_card(folder))
    assert not re.search(r"<\w|\]\(|`c`", card)
    assert "aorta {0}, ab {" in card


def test_no_cell_of_a_front_is_computed_by_a_spreadsheet():
    values = {"dice": 0.5, "params": 7}
    evil = flat_result(key="a", dice_per_class={"=1+1": 0.5}, device="@SUM(A1)", **values)
    beside = flat_result(key="b", baseline="=cmd|' /C calc'!A0", space="baselines", **values)
    text = front_csv(Front(members=[evil], objectives=("dice", "params"), baselines=[beside]))
    cells = [cell for row in csv.reader(io.StringIO(text)) for cell in row]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))]
    assert "'@SUM(A1)" in cells and "'=cmd|' /C calc'!A0" in cells and "0.5" in cells
