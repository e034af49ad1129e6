"""Who goes on, of candidates that are compared on their way."""

from nas.engine.report import Fidelity, Report
from nas.search.trial_judge import TrialJudge
from nas.study.candidate import Candidate
from search_spaces.hybrid import Hybrid
from tests.nas.small_run import config


def candidate(width):
    return Candidate(0, Hybrid(width=width), {"params": 1000.0 * width})


def first_epoch(dice):
    return Report(fidelity=Fidelity(1), dice=dice, curve=(dice,))


def test_what_a_search_tries_first_is_never_stopped_and_others_are_compared_with_it():
    run = config(
        search={"early_stopping": {"grace": 1, "reduction": 2}}, objectives=["dice", "params"]
    )
    small, start, large = (candidate(width) for width in (4, 8, 12))

    def verdicts(starts):
        judge = TrialJudge(run.search, run.train, run.objectives, (), starts)
        found = [(small, 0.4), (start, 0.3), (large, 0.2)]
        return [judge.verdict(one, first_epoch(dice), 1.0) for one, dice in found]

    stopped = "stopped", "stopped after 1 of 3 epochs"
    assert verdicts(()) == [None, stopped, stopped]
    assert verdicts({start.key}) == [None, None, stopped]
