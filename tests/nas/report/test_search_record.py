"""What follows from the results of a search, and that it is worked out once."""

from nas.report import search_record
from nas.report.search_record import SearchRecord
from tests.nas.probers import latency
from tests.nas.results import flat_result

OBJECTIVES = ("dice", "params")


def result(key, dice, params, state="complete", **changes):
    changes = {"architecture": {"width": params}, **changes}
    return flat_result(key=key, state=state, dice=dice, params=params, **changes)


RESULTS = (
    result("large", 0.9, 1000),
    result("beaten", 0.6, 800),
    result("small", 0.7, 100),
    result("stopped", None, 10, "stopped"),
)


def record(results=RESULTS, **changes):
    values = {"objectives": OBJECTIVES, "title": "a search", "classes": ("organ",)}
    return SearchRecord(results=results, **(values | changes))


def test_members_and_ranks_are_of_the_complete():
    found = record()
    assert [member.key for member in found.members] == ["small", "large"]
    assert found.ranks == {"large": 1, "small": 1, "beaten": 2}
    assert found.states == {"complete": 3, "stopped": 1}


def test_the_hypervolume_is_the_share_that_is_dominated():
    one = record([result("half", 0.5, 100)])  # parameters span seven decades from 100 to 1e9
    assert one.hypervolume == 0.5
    assert record([]).hypervolume == 0.0


def test_each_thing_is_worked_out_once(monkeypatch):
    calls = []
    monkeypatch.setattr(search_record, "front", lambda *given: calls.append(given) or [])
    found = record()
    assert found.members is found.members
    assert len(calls) == 1


def test_knobs_have_no_importance_where_networks_are_few():
    assert record().importances == []


def test_known_costs_need_not_be_objectives():
    found = record([result("timed", 0.5, 5, latency_ms=2.0)])
    assert found.costs == ["params"]
    assert found.known_costs == ["params", "latency_ms"]


def test_conditions_are_those_of_the_latencies():
    assert record().conditions is None
    measured = record([*RESULTS, result("timed", 0.5, 5, latency=latency(5.0).to_json())])
    assert measured.conditions.startswith("a machine (Linux), 1 thread, fp32, eager")
