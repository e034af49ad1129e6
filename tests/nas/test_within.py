import re

import pytest

from nas.commands.front_chart import front_chart
from nas.result import Result
from nas.within import parse_limits, within
from trainers.errors import UserError


def member(key, dice, params, latency_ms=None, memory=None):
    return Result(
        number=0,
        key=key,
        architecture={},
        state="complete",
        dice=dice,
        params=params,
        latency_ms=latency_ms,
        memory=memory,
    )


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
    ],
)
def test_those_within_all_limits_are_kept(text, keys):
    assert "".join(m.key for m in within(MEMBERS, parse_limits(text))) == keys


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("params=3", "'params=3'; expected NAME<=VALUE"),
        ("speed<=3", "'speed<=3'.* of dice, params"),
        ("params<=many", "'many' in 'params<=many' is no number"),
        ("params<=3,", "''; expected"),
    ],
)
def test_what_is_no_limit_is_told_what_is(text, told):
    with pytest.raises(UserError, match=told):
        parse_limits(text)


def test_limits_that_nobody_keeps_are_told_what_there_is():
    with pytest.raises(UserError, match=r"params is 100 at the least; dice is 0\.9000 at the most"):
        within(MEMBERS, parse_limits("params<=10,dice>=0.95"))


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


def test_a_single_member_is_drawn():
    assert "1" in front_chart([member("c", 0.9, 900)], "params", 60)
