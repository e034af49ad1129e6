import pytest

from nas.pareto.budget import Budget
from nas.pareto.objectives import objective
from nas.study.rejections import TELL_AFTER, RejectionStreak
from tests.nas.results import flat_result


def refused(reason="over budget", **costs):
    return flat_result(key="k", state="infeasible", reason=reason, **costs)


def test_memory_takes_a_unit():
    assert Budget(memory="8GiB").limits() == {"memory": 8 * 2**30}
    assert Budget(memory=1000).excess({"memory": 1500}) == {"memory": 1.5}


def test_the_reason_names_every_excess_and_its_size():
    budget = Budget(params=1000, memory="1GiB", latency_ms=40)
    costs = {"params": 2500, "memory": 3 * 2**30, "latency_ms": 30.0}
    assert budget.reason(costs) == (
        "over budget: params 2,500 (2.5 times the limit), memory 3 GiB (3 times the limit)"
    )
    assert budget.reason({"params": 1000, "latency_ms": None}) is None


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [("params", 1e6, "1,000,000"), ("memory", 2**29, "512 MiB"), ("latency_ms", 8.25, "8.25 ms")],
)
def test_amounts_have_their_units(name, value, text):
    assert objective(name).exact(value) == text


def test_the_worst_limit_is_blamed_first_with_what_was_seen():
    refusals = RejectionStreak(Budget(params=10, macs=1000))
    for n in range(TELL_AFTER):
        assert not refusals.due
        refusals.add(refused(params=n, macs=5000))
    assert refusals.due
    assert refusals.verdict().splitlines() == [
        "50 candidates in a row cannot be trained:",
        "  budget.macs = 1,000 rules out 50 of 50; seen: 5,000 to 5,000, median 5,000",
        "  budget.params = 10 rules out 39 of 50; seen: 0 to 49, median 24",
    ]
    assert not refusals.due


def test_refusals_that_are_no_budgets_fault_are_told_as_such():
    refusals = RejectionStreak(Budget(params=10))
    for _ in range(TELL_AFTER - 1):
        refusals.add(refused(params=20))
    refusals.add(refused("cannot be built: no such kernel"))
    assert refusals.verdict().endswith("1 failed, the last: cannot be built: no such kernel")


def test_a_verdict_is_due_again_after_as_many_more():
    refusals = RejectionStreak(Budget(params=10))
    for n in range(2 * TELL_AFTER):
        refusals.add(refused(params=20))
        if n + 1 == TELL_AFTER:
            refusals.verdict()
            assert not refusals.due
    assert refusals.due
    refusals.clear()
    assert not refusals.due
