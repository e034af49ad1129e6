import pytest

from nas.cost.latency_probe import Failure
from nas.search.candidate_queue import CandidateQueue
from tests.nas.parts import open_study
from tests.nas.probers import SaysProber, latency
from tests.nas.small_run import plain_run


def by_width(architecture):
    return latency(float(architecture.width))


@pytest.fixture
def admission(tmp_path):
    def admission(says, **budget):
        run = plain_run(search={"sampler": "random"}, budget=budget)
        study = open_study(tmp_path, run, lambda a: {"params": a.width})
        made = CandidateQueue(study, run.budget, SaysProber(says) if says else None)
        made.study = study
        return made

    return admission


def next_of(admission, calls=2000):
    for _ in range(calls):
        admission.advance()
        if candidate := admission.take():
            return candidate
    raise AssertionError("no candidate")


def test_a_candidate_is_measured_before_it_is_taken(admission):
    made = admission(by_width)
    made._prober.ready = False
    for _ in range(3):
        made.advance()
        assert made.pending is not None
        assert made.take() is None
    made._prober.ready = True
    made.advance()
    candidate = made.take()
    assert candidate.costs["latency_ms"] == candidate.architecture.width
    assert candidate.latency.conditions.device == "a machine"
    assert [len(measured) for measured in made._prober.sets] == [1]
    assert made.take() is None


def test_what_is_too_slow_is_recorded_with_its_excess_and_never_taken(admission):
    made = admission(by_width, latency_ms=8)
    taken = [next_of(made) for _ in range(12)]
    assert {candidate.architecture.width for candidate in taken} <= {4, 6, 8}
    refused = made.study.results
    assert refused
    for result in refused:
        assert (result.state, result.dice, result.epochs) == ("infeasible", None, 0)
        assert result.costs["latency_ms"] > 8
        assert result.latency["p50_ms"] == result.costs["latency_ms"]
        times = f"{result.costs['latency_ms'] / 8:.3g}"
        assert (
            f"latency_ms {result.costs['latency_ms']:g} ms ({times} times the limit)"
            in result.reason
        )


def test_what_cannot_be_measured_is_infeasible_with_its_reason(admission):
    made = admission(lambda a: by_width(a) if a.width == 32 else Failure("latency: out of memory"))
    assert next_of(made).architecture.width == 32
    assert made.failures == 0
    assert {result.reason for result in made.study.results} == {"latency: out of memory"}


def test_failures_in_a_row_are_counted(admission):
    made = admission(lambda a: Failure("latency: crashed (SIGKILL)"))
    for _ in range(6):
        made.advance()
    assert made.failures == 3
    assert len(made.study.results) == 3


def test_without_a_prober_candidates_are_ready_at_once(admission):
    made = admission(None)
    made.advance()
    candidate = made.take()
    assert candidate.latency is None
    assert not made.measures


def test_an_abandoned_candidate_is_proposed_again(admission):
    made = admission(by_width)
    made._prober.ready = False
    made.advance()
    key = made.pending.key
    made.abandon()
    made.study.requeue()
    assert made._prober.closed
    made._prober.ready = True
    assert next_of(made).key == key
