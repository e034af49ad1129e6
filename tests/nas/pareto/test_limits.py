import re
from pathlib import Path

import pytest

from nas.cli.front_chart import front_chart
from nas.cli.main import main
from nas.pareto.limits import filter_by_limits, parse_limits
from nas.report.write_front import write_front
from tests.nas.results import flat_result, search_record
from tests.nas.small_search import ended_search
from trainers.errors import UserError


def member(key, dice, params, latency_ms=None, memory=None):
    return flat_result(key=key, dice=dice, params=params, latency_ms=latency_ms, memory=memory)


MEMBERS = [member("a", 0.5, 100, 1.0, 2**30), member("b", 0.8, 200, 5.0), member("c", 0.9, 900)]


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("params<=200", "ab"),
        ("params<200", "a"),
        ("params <= 2e2, dice >= 0.8", "b"),
        ("dice>0.8", "c"),
        ("latency_ms<=20", "ab"),  # of c it is not known
        ("memory<=1GiB", "a"),
        ("memory<=2e9", "a"),
        ("memory<=1.1e9", "a"),
    ],
)
def test_those_within_all_limits_are_kept(text, keys):
    assert "".join(m.key for m in filter_by_limits(MEMBERS, parse_limits(text))) == keys


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("params=3", "'params=3'; expected NAME<=VALUE"),
        ("speed<=3", "'speed<=3'.* of dice, params"),
        ("latency<=20", "'latency<=20'; did you mean latency_ms\\? expected NAME<=VALUE"),
        ("latency@phone<=20", "did you mean latency_ms@phone"),
        ("params<=many", "'many' in 'params<=many' is no number"),
        ("latency_ms<=nan", "'nan' in 'latency_ms<=nan' is no number"),
        ("memory<=" + "9" * 400, "is no number"),
        ("memory<=" + "9" * 400 + "GB", "is no number"),
        ("", "''; expected"),
        ("params<=3,", "''; expected"),
    ],
)
def test_what_is_no_limit_is_told_what_is(text, told):
    with pytest.raises(UserError, match=told):
        parse_limits(text)


def test_limits_that_nobody_keeps_are_told_what_there_is():
    with pytest.raises(UserError, match=r"params is 100 at the least; dice is 0\.9000 at the most"):
        filter_by_limits(MEMBERS, parse_limits("params<=10,dice>=0.95"))


def test_limits_hold_for_a_key_beyond_the_front_too(tmp_path, segnas):
    study = ended_search(tmp_path)
    record = search_record(study.results)
    write_front(tmp_path, record)
    near = study.results[2]
    assert near.costs["params"] == 3_000
    command = ["export", str(tmp_path), "--pick", near.key, "--to", str(tmp_path / "out")]
    over = segnas.refused(*command, "--within", "params<=2000")
    assert f"--pick {near.key} is no member of the front within the limits" in over
    told = segnas.refused(*command, "--within", "params<=3000")  # now the weights are what lacks
    assert f"{near.key}.pt is missing" in told.replace("\n", "")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "is missing; expected the folder of a search"),
        ("{", "is damaged"),
        ("[1]", "is damaged"),
        ('{"objectives": ["dice"], "members": [1]}', "is damaged"),
    ],
)
def test_a_front_that_cannot_be_read_is_one_clear_error(tmp_path, segnas, content, told):
    folder = tmp_path / "two words"
    folder.mkdir()
    if content is not None:
        (folder / "front.json").write_text(content)
    error = segnas.refused("front", folder)
    assert told in error
    assert f"segnas sync '{folder}'" in error  # as a shell takes it


def test_a_search_with_nothing_trained_yet_is_one_line(tmp_path, capsys):
    (tmp_path / "front.json").write_text('{"objectives": ["dice", "params"], "members": []}')
    assert main(["front", str(tmp_path), "--plot"]) == 0
    shown = capsys.readouterr()
    assert "the front is empty so far: no network was trained" in shown.err
    assert not shown.out


def test_the_command_that_shows_all_keeps_the_limits(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("one").mkdir()
    write_front(Path("one"), search_record(MEMBERS))
    assert main(["front", "one", "--within", "params<=1000"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "segnas front one --within 'params<=1000' --all" in told


def test_the_chart_has_better_dice_higher_and_dearer_members_further_right():
    rows, columns = {}, {}
    for row, line in enumerate(front_chart(MEMBERS, "params", 80).splitlines()[2:-2]):
        drawn = re.search(r"[│┤] +(\d)", line)
        if drawn:
            rows[drawn[1]], columns[drawn[1]] = row, drawn.start(1)
    assert rows["3"] < rows["2"] < rows["1"]
    assert columns["1"] < columns["2"] < columns["3"]


def test_a_chart_of_a_cost_nobody_knows_is_empty():
    assert front_chart([member("c", 0.9, 900)], "latency_ms", 80) == ""


def test_a_chart_has_round_numbers_and_never_a_single_one():
    chart = front_chart([member("a", 0.4876, 38_850), member("b", 0.518, 88_706)], "params", 80)
    heights = re.findall(r"(?m)^([\d.]+)┤", chart)
    assert heights == ["0.515", "0.510", "0.505", "0.500", "0.495", "0.490"]
    assert re.findall(r"[\d.]+ k", chart) == ["37.3 k", "92.4 k"]  # 5% of the way beyond each


def test_a_single_member_is_drawn():
    assert "1" in front_chart([member("c", 0.9, 900)], "params", 60)
