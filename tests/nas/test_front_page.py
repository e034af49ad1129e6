import csv
import io
import json
import re
from html.parser import HTMLParser

import pytest

from nas.front_files import front_csv, front_json, write_front
from nas.front_page import compact, front_page, human
from nas.result import Result
from tests.nas.probers import latency

OBJECTIVES = ("dice", "params", "latency_ms")
CLASSES = ("Anterior", "Posterior")


def result(key, dice, params, latency_ms=5.0, **changes):
    values = {
        "number": 0,
        "architecture": {"width": 16, "tokens": [{"prune": 0.5}]},
        "state": "complete",
        "dice_per_class": {"Anterior": 0.91, "Posterior": 0.79},
        "macs": 410_000_000,
        "memory": 300_000_000,
        "device": "cpu",
        "epochs": 10,
    }
    return Result(key=key, dice=dice, params=params, latency_ms=latency_ms, **(values | changes))


RESULTS = [
    result("large", 0.90, 1_240_000, 8.7),
    result("small", 0.85, 12_300, 2.0),
    result("beaten", 0.84, 50_000, 9.0),
    result("refused", None, 9_000_000, state="infeasible", reason="over budget"),
]


class Page(HTMLParser):
    """The tags, table cells and sources of a page."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.cells, self.sources = [], [], []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.sources += [value for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data):
        if data.strip() and self.tags[-1] in ("td", "th"):
            self.cells.append(data)


def page(results=RESULTS, objectives=OBJECTIVES, title="hippocampus"):
    html = front_page(results, objectives, title, CLASSES)
    return html, Page(html)


def traces(html, cost):
    """The traces of one plot, as plotly reads them."""
    start = html.index("[", html.index(f'"dice-{cost}",'))
    return json.JSONDecoder().raw_decode(html, start)[0]


@pytest.fixture(autouse=True)
def short_plotly(monkeypatch):
    """The 5 MB of plotly.js would only slow the parsing down."""
    monkeypatch.setattr("nas.front_page.get_plotlyjs", lambda: "/* plotly */")


def test_the_table_lists_the_front_in_human_units():
    _, parsed = page()
    assert parsed.cells == [
        *("Key", "Dice", "Dice Anterior", "Dice Posterior"),
        *("Parameters", "MACs", "Training memory", "Latency"),
        *("small", "0.8500", "0.9100", "0.7900", "12.3 k", "410 M", "300 MB", "2 ms"),
        *("large", "0.9000", "0.9100", "0.7900", "1.24 M", "410 M", "300 MB", "8.7 ms"),
    ]


def test_there_is_a_plot_for_each_cost_among_the_objectives():
    html, _ = page()
    plots = re.findall(r'id="dice-(\w+)"', html)
    assert plots == ["params", "latency_ms"]


def test_the_front_is_highlighted_and_the_dominated_muted():
    html, _ = page()
    others, _, members = traces(html, "params")
    assert others["x"] == [50_000]
    assert sorted(members["x"]) == [12_300, 1_240_000]


def test_the_staircase_skips_members_that_another_cost_put_on_the_front():
    # "slim" is on the front by its parameters alone: "quick" is faster and better.
    results = [result("slim", 0.80, 100, 9.0), result("quick", 0.85, 200, 2.0)]
    html, _ = page(results)
    assert traces(html, "latency_ms")[1]["y"] == [0.85]
    assert traces(html, "params")[1]["y"] == [0.80, 0.85]


def test_a_result_that_ended_early_is_counted_but_not_drawn():
    html, _ = page()
    assert "1 candidates ended early" in html
    assert "refused" not in html


def test_hover_says_everything_about_a_network():
    html, _ = page()
    text = traces(html, "params")[0]["hovertext"][0]
    for part in ("beaten", "0.8400", "Anterior 0.9100", "50 k", "410 M", "9 ms", "width 16"):
        assert part in text


def test_everything_from_the_data_is_escaped():
    attack = "</script><script>alert(1)</script>"
    measured = latency(5.0).to_json()
    measured["conditions"]["device"] = attack
    results = [
        result(attack, 0.9, 10, latency=measured, architecture={attack: attack}),
        result("other", 0.1, 100),
    ]
    html = front_page(results, OBJECTIVES, attack, [attack])
    assert attack not in html
    assert "<script>alert" not in html


def test_the_page_needs_nothing_from_outside(monkeypatch):
    monkeypatch.undo()
    html, parsed = page()
    assert len(html) > 1_000_000  # plotly itself
    assert parsed.sources == []


def test_a_search_without_results_still_has_a_page():
    html, parsed = page(results=[])
    assert "0 of 0 trained networks" in html
    assert parsed.tags.count("tr") == 1


@pytest.mark.parametrize(
    ("value", "text"),
    [(950, "950"), (12_345, "12.3 k"), (999_999, "1 M"), (4.1e8, "410 M"), (None, "—")],
)
def test_numbers_are_for_people(value, text):
    assert human(value) == text


def test_units_stand_behind_the_number():
    assert human(8.74, "ms") == "8.74 ms"


def test_an_architecture_is_readable_on_one_line():
    architecture = {"width": 16, "blocks": (1, 2), "tokens": [{"gate": "both"}, {"gate": "none"}]}
    assert compact(architecture) == "width 16, blocks 1/2, tokens (gate both) (gate none)"


def test_the_three_files_are_written_whole(tmp_path):
    members = write_front(tmp_path, RESULTS, OBJECTIVES, "hippocampus", CLASSES)
    assert [member.key for member in members] == ["small", "large"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "front.csv",
        "front.html",
        "front.json",
    ]
    record = json.loads((tmp_path / "front.json").read_text())
    assert [member["key"] for member in record["members"]] == ["small", "large"]


def test_front_json_has_what_a_program_needs():
    record = front_json([RESULTS[1]], OBJECTIVES)
    assert record["objectives"] == ["dice", "params", "latency_ms"]
    assert record["members"] == [
        {
            "key": "small",
            "dice": 0.85,
            "params": 12_300,
            "macs": 410_000_000,
            "memory": 300_000_000,
            "latency_ms": 2.0,
            "architecture": {"width": 16, "tokens": [{"prune": 0.5}]},
            "dice_per_class": {"Anterior": 0.91, "Posterior": 0.79},
            "number": 0,
            "epochs": 10,
            "device": "cpu",
            "latency": None,
        }
    ]


def test_a_class_without_a_dice_is_null():
    nan = result("a", 0.9, 10, dice_per_class={"Anterior": float("nan")})
    assert front_json([nan], OBJECTIVES)["members"][0]["dice_per_class"] == {"Anterior": None}


def test_front_csv_reads_back():
    [row] = csv.DictReader(io.StringIO(front_csv([RESULTS[1]])))
    assert (row["key"], row["dice"], row["dice_Posterior"]) == ("small", "0.85", "0.79")
    assert json.loads(row["architecture"]) == {"width": 16, "tokens": [{"prune": 0.5}]}


def test_the_page_tells_under_which_conditions_latency_was_measured():
    measured = result("a", 0.9, 10, latency=latency(5.0).to_json())
    html, _ = page([measured])
    assert "Latency is the median of one pass: a machine (Linux), 1 thread, fp32, eager" in html
