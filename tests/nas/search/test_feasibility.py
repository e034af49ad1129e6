import pytest

from nas.config.run_config import Budget
from nas.search.feasibility import check_feasible
from tests.nas.parts import training_costs
from tests.nas.small_run import plain_run
from trainers.errors import UserError

PLAIN = {"levels": [3], "stem_stride": [2], "token_stages": [0]}


def config(**changes):
    return plain_run(**{"space": {"restrict": PLAIN}, **changes})


def check(run, channels, classes):
    costs = training_costs(run, channels, classes)
    check_feasible(run.space.space(), run.space.restrict, costs)


def refused(run, channels=1, classes=2):
    with pytest.raises(UserError) as error:
        check(run, channels, classes)
    return str(error.value)


def test_a_possible_run_passes():
    check(config(), 1, 2)


# The smallest plain network: width 4 everywhere, one ghost convolution a unit, no shortcut.
# One channel in, two classes: encoder 4 <- 1, 4 <- 4, 4 <- 4; decoder 4 <- 4 twice; a 2^3 head.
GHOST = [(n * 2 * 27 + 2) + (2 * 27 + 2) + 2 * 4 for n in (1, 4, 4)]
SMALLEST = sum(GHOST) + 2 * ((4 * 4 * 8 + 4) + GHOST[1]) + (4 * 2 * 8 + 2)


def test_a_budget_that_nothing_meets_is_refused_with_the_smallest_network():
    message = refused(config(budget={"params": SMALLEST - 1}))
    assert f"budget.params = {SMALLEST - 1:,} (smallest found: {SMALLEST:,})" in message
    assert "hybrid" in message


def test_a_budget_that_the_smallest_network_meets_passes():
    check(config(budget={"params": SMALLEST}), 1, 2)


@pytest.mark.parametrize(("space", "possible"), [("hybrid", True), ("apformer", False)])
def test_deep_supervision_needs_a_space_that_has_stages_for_it(space, possible):
    run = config(train={"patch": [32, 32, 32], "deep_supervision": True}, space={"name": space})
    if possible:
        check(run, 1, 2)
    else:
        assert "train.deep_supervision: of 8 networks of apformer none has" in refused(run)


def test_a_budget_of_macs_is_checked_as_well():
    assert "budget.macs = 10 (smallest found: " in refused(config(budget={"macs": 10}))


def test_a_restriction_can_make_a_budget_impossible():
    run = config(budget={"params": SMALLEST}, space={"restrict": {**PLAIN, "width": [32]}})
    assert "budget.params" in refused(run)


def test_excess_names_the_limits_that_are_exceeded_and_by_which_factor():
    budget = Budget(params=10, macs=100)
    assert budget.excess({"params": 20, "macs": 150}) == {"params": 2.0, "macs": 1.5}
    assert budget.excess({"params": 5, "macs": 150, "latency_ms": 9.0}) == {"macs": 1.5}
    assert budget.excess({"params": None}) == {}
    assert Budget().excess({"params": 5}) == {}
