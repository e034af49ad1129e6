"""Shares of a budget, worked by hand."""

import pytest

from nas.analysis.preview.budget_share import budget_share, explain_nothing_within, share_within
from nas.analysis.preview.sample_space import Draw
from nas.analysis.preview.survey import Survey
from nas.pareto.budget import Budget


def survey(costs, leading=None, broken=None):
    return Survey(Draw((), len(costs), False), tuple(costs), leading or {}, broken or {})


TEN = [{"params": p, "macs": 10 * p} for p in range(1, 11)]


def test_every_limit_alone_and_all_together():
    found = budget_share(survey(TEN), Budget(params=8, macs=50))
    assert found.share == pytest.approx(0.5)
    params, macs = found.limits
    assert (params.name, params.share, params.share_without, params.seen) == (
        "params",
        0.8,
        0.5,
        10,
    )
    assert (macs.name, macs.share, macs.share_without) == ("macs", 0.5, pytest.approx(0.8))


def test_no_budget_lets_everything_through():
    assert budget_share(survey(TEN), Budget()).share == 1
    assert budget_share(survey(TEN), Budget()).limits == ()


def test_a_cost_known_of_some_only_counts_among_these():
    # 5 of 10 have few enough parameters; the memory of 4 of those is known, and 1 has little.
    costs = [dict(c) for c in TEN]
    for i, memory in enumerate((1, 9, 9, 9)):
        costs[i]["memory"] = memory
    assert share_within(costs, {"params": 5, "memory": 5}) == pytest.approx(5 / 10 * 1 / 4)
    found = budget_share(survey(costs, leading={"memory": 2}), Budget(params=5, memory=5))
    assert found.share == pytest.approx(1 / 8)
    memory = found.limits[1]
    assert (memory.seen, memory.share) == (2, 0.5)  # the random ones alone


def test_what_cannot_be_built_is_not_let_through():
    assert share_within([{"params": 1}, {}], {"params": 5}) == 0.5
    assert budget_share(survey([{}, {"params": 1}]), Budget()).share == 0.5


def test_a_limit_on_what_was_not_measured_limits_nothing():
    found = budget_share(survey(TEN), Budget(params=5, latency_ms=1))
    assert found.share == 0.5
    assert [limit.name for limit in found.limits] == ["params"]


def test_the_limit_to_blame_is_named_with_what_was_seen():
    drawn = survey(TEN)
    text = explain_nothing_within(budget_share(drawn, Budget(params=9, macs=5)), drawn)
    first, second = text.splitlines()[1:]
    assert "budget.macs = 5 lets 0.0% through; seen: 10 to 100, median 55" in first
    assert "without it, 90.0% would pass" in first
    assert "budget.params = 9 lets 90.0% through" in second
    assert "without" not in second


def test_where_nothing_can_be_built_the_reason_is_told():
    drawn = survey([{}], broken={0: "cannot be built: too deep"})
    assert "1 architectures fail, the first: cannot be built: too deep" in explain_nothing_within(
        budget_share(drawn, Budget()), drawn
    )
