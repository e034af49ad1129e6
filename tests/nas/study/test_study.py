import itertools
import json
import math
from dataclasses import replace

import optuna
import pytest

from nas.study.resume_check import check_settings_unchanged
from nas.study.samplers.counted_network import NetworkCounter
from nas.study.search_folder import JOURNAL, checkpoint_in
from nas.study.stored_results import read_records
from search_spaces.hybrid import SPACE, Hybrid
from search_spaces.space import to_params
from tests.nas.parts import open_study
from tests.nas.probers import latency
from tests.nas.results import flat_result
from tests.nas.small_run import plain_run
from tests.slow import and_slow
from trainers.errors import UserError

# 7 widths, 3 norms, ghost or not, residual or not: 84 networks. FEW: 3 of the widths.
KNOBS = ("width", "norm", "conv", "residual")
FREE = 84
FEW, FREE_OF_FEW = {"width": [4, 8, 32]}, 36


def config(restrict=(), **changes):
    """A run over the knobs named in KNOBS; everything else has its default."""
    defaults = to_params(Hybrid())
    fixed = {knob: [value] for knob, value in defaults.items() if knob not in KNOBS}
    return plain_run(**{"space": {"restrict": {**fixed, **dict(restrict)}}, **changes})


def cost(architecture):
    return {"params": 1000 * architecture.width, "macs": 10**6}


@pytest.fixture
def opened(tmp_path):
    def opened(run=None, **options):
        return open_study(tmp_path, run or config(), options.pop("cost", cost), **options)

    return opened


def result(candidate, **changes):
    values = {
        "number": candidate.number,
        "key": candidate.key,
        "architecture": candidate.architecture.to_json(),
        "dice": 0.5,
        **candidate.costs,
        "latency_ms": 1.0,
    }
    return flat_result(**{**values, **changes})


def failed(candidate):
    return result(candidate, state="infeasible", reason="out of memory", dice=None)


def states(directory):
    storage = optuna.storages.journal.JournalFileBackend(str(directory / JOURNAL))
    study = optuna.load_study(study_name="search", storage=optuna.storages.JournalStorage(storage))
    return [trial.state.name for trial in study.get_trials()]


@pytest.mark.parametrize("sampler", and_slow(["tpe", "random"], ["nsga2"]))
def test_no_architecture_is_proposed_twice_until_the_space_is_exhausted(opened, sampler):
    study = opened(config(restrict=FEW, search={"sampler": sampler}), patience=200)
    keys = []
    while candidate := study.ask():
        keys.append(candidate.key)
        study.tell(result(candidate, dice=len(keys) / 100))
    assert len(keys) == len(set(keys)) >= FREE_OF_FEW - 1
    assert "no other architecture" in study.exhausted
    assert study.repeats >= 200
    assert len(study.results) == len(keys)


def test_a_repeat_is_answered_with_what_its_first_trial_found(opened, tmp_path):
    study = opened(config(restrict={k: [getattr(Hybrid(), k)] for k in KNOBS}), patience=3)
    study.tell(result(study.ask(), dice=0.75, latency_ms=2.5))
    assert study.ask() is None
    told = study._study.get_trials()
    assert [t.values for t in told] == [[0.75, 8000, 2.5]] * 4
    assert [t.user_attrs.get("repeat_of") for t in told] == [None] + [study.results[0].key] * 3


def test_what_is_running_is_not_proposed_again(opened):
    study = opened(config(restrict={"width": [8], "norm": ["batch"]}), patience=100)
    running = [study.ask() for _ in range(4)]
    assert len({candidate.key for candidate in running}) == 4
    assert study.ask() is None


def test_over_budget_is_never_proposed_and_says_why(opened):
    few = config(restrict={"norm": ["batch"]}, budget={"params": 8000, "macs": 1e6})
    study = opened(few, patience=100)
    proposed = []
    while candidate := study.ask():
        proposed.append(candidate)
        study.tell(result(candidate))
    assert {candidate.architecture.width for candidate in proposed} == {4, 6, 8}
    refused = [r for r in study.results if r.state == "infeasible"]
    assert {r.costs["params"] for r in refused} == {12000, 16000, 24000, 32000}
    assert "over budget: params 32,000 (4 times the limit)" in {r.reason for r in refused}
    assert all(r.dice is None and r.worker_seconds == 0 for r in refused)


def test_a_network_that_cannot_be_built_is_infeasible(opened):
    def broken(architecture):
        if architecture.width > 4:
            raise RuntimeError("no such kernel")
        return cost(architecture)

    study = opened(cost=broken)
    assert study.ask().architecture.width == 4
    assert {r.reason for r in study.results} <= {"cannot be built: no such kernel"}


@pytest.mark.parametrize("passing", [OSError(24, "Too many open files"), MemoryError()])
def test_a_failure_that_passes_is_no_verdict_on_a_network(opened, passing):
    first = Hybrid(width=6).canonical()
    faults = [passing]

    def busy(architecture):
        if faults:
            raise faults.pop()
        return cost(architecture)

    study = opened(cost=busy, warm_start=[first])
    with pytest.raises(type(passing)):
        study.ask()
    assert study.results == []
    study.requeue()
    assert study.ask().key == first.key


def test_a_sampler_takes_no_failure_that_passes_for_a_networks_own():
    faults = [OSError(24, "Too many open files")]

    def busy(architecture):
        if faults:
            raise faults.pop()
        return cost(architecture)

    counter, params = NetworkCounter(SPACE, {}, busy), to_params(Hybrid().canonical())
    with pytest.raises(OSError, match="Too many open files"):
        counter.count(params)
    assert counter.count(params).costs["params"] == 8000


def test_fifty_refusals_in_a_row_are_told_with_the_limit_to_blame(opened):
    study = opened(config(budget={"params": 100, "macs": 1e7}))
    assert study.ask() is None
    assert study.exhausted is None
    header, line = study.refusals.verdict().splitlines()
    assert header.startswith("50 candidates in a row")
    assert line.strip() == (
        "budget.params = 100 rules out 50 of 50; seen: 4,000 to 32,000, median "
        + line.rpartition(" ")[2]
    )
    assert not study.refusals.due


def test_what_is_trained_ends_a_row_of_refusals(opened):
    study = opened(config(budget={"latency_ms": 1.0}))
    for number in range(60):
        candidate = study.ask()
        slow = candidate.infeasible("over budget: latency_ms 2 ms (2 times the limit)")
        if number == 30:
            study.admit()
            study.tell(result(candidate))
        else:
            study.refuse(replace(slow, costs={"latency_ms": 2.0}))
    assert not study.refusals.due


def test_a_second_latency_takes_the_place_of_the_first_for_good(opened):
    study = opened()
    candidate = study.ask()
    study.tell(result(candidate, latency_ms=2.0))
    study.revise(candidate.key, latency(3.0))
    assert [r.costs["latency_ms"] for r in study.results] == [3.0]
    again = opened()
    assert [r.costs["latency_ms"] for r in again.results] == [3.0]
    assert again.was_asked_again(candidate.key)


def test_a_second_latency_over_the_budget_makes_it_infeasible(opened):
    study = opened(config(budget={"latency_ms": 2.5}))
    candidate = study.ask()
    study.tell(result(candidate, latency_ms=2.0))
    revised = study.revise(candidate.key, latency(3.0))
    assert (revised.state, revised.dice) == ("infeasible", None)
    assert revised.reason == "over budget: latency_ms 3 ms (1.2 times the limit), measured again"
    assert opened(config(budget={"latency_ms": 2.5})).results == [revised]


@pytest.mark.parametrize("sampler", ["tpe", "nsga2"])
def test_infeasible_regions_are_avoided(opened, sampler):
    """Half of the space fails. Trials told as FAILED are ignored: TPE then asks for 23 to 28."""
    more = {"levels": [3, 4], "convs": [1, 2, 3]}
    study = opened(config(restrict=more, search={"sampler": sampler, "startup": 15}))
    failures = []
    for number in range(60):
        candidate = study.ask()
        failures.append(candidate.architecture.conv == "ghost")
        dice = 0.5 + 0.01 * math.sin(number)
        study.tell(failed(candidate) if failures[-1] else result(candidate, dice=dice))
    assert sum(failures[:15]) >= 4
    assert sum(failures[30:]) <= 10


def test_an_infeasible_result_is_no_dice(opened):
    study = opened()
    study.tell(failed(study.ask()))
    assert [r.dice for r in study.results] == [None]
    (trial,) = study._study.get_trials()
    assert trial.values == [-math.inf, math.inf, math.inf]
    assert trial.constraints["failure"] == 1.0


def test_a_latency_over_budget_violates_by_its_ratio(opened):
    study = opened(config(budget={"latency_ms": 2.0}))
    study.tell(
        result(study.ask(), state="infeasible", reason="over budget", dice=None, latency_ms=4.0)
    )
    violated = {n: v for n, v in study._study.get_trials()[0].constraints.items() if v > 0}
    assert violated == {"latency_ms": pytest.approx(math.log(2))}


@pytest.mark.parametrize("sampler", ["ehvi", "tpe", "nsga2", "random", "qmc"])
def test_every_seed_that_a_configuration_takes_gives_proposals_of_its_own(tmp_path, sampler):
    def proposed(seed):
        (tmp_path / str(seed)).mkdir()
        run = config(seed=seed, search={"sampler": sampler, "startup": 2})
        study = open_study(tmp_path / str(seed), run, cost)
        asked = [study.ask() for _ in range(4)]
        return [candidate.key for candidate in asked]

    seeds = (0, 2**31, 2**32 + 5, 2**63 - 1)
    assert len({tuple(proposed(seed)) for seed in seeds}) == len(seeds)


@pytest.mark.parametrize("sampler", ["tpe", "nsga2", "random"])
def test_the_same_seed_gives_the_same_proposals(tmp_path, sampler):
    def proposals(name, seed):
        (tmp_path / name).mkdir()
        run = config(seed=seed, search={"sampler": sampler, "startup": 4})
        study = open_study(tmp_path / name, run, cost)
        keys = []
        for number in range(12):
            candidate = study.ask()
            keys.append(candidate.key)
            study.tell(result(candidate, dice=number / 12))
        return keys

    assert proposals("a", 0) == proposals("b", 0) != proposals("c", 1)


def test_results_come_back_from_the_journal(opened):
    study = opened()
    study.tell(result(study.ask(), dice_per_class={"liver": 0.5}, curve=(0.25, 0.5), epochs=2))
    study.tell(failed(study.ask()))
    again = opened()
    assert again.results == study.results
    assert again.id == study.id


def test_what_died_while_running_is_proposed_again_first(opened, tmp_path):
    study = opened()
    done, *lost = [study.ask() for _ in range(3)]
    study.tell(result(done))
    again = opened()
    assert [again.ask().key, again.ask().key] == [candidate.key for candidate in lost]
    assert again.ask().key not in {done.key, *(candidate.key for candidate in lost)}
    assert [r.key for r in again.results] == [done.key]
    assert states(tmp_path).count("RUNNING") == 3
    assert states(tmp_path).count("FAIL") == 2


def test_a_death_in_a_proposal_does_not_lose_what_was_to_be_proposed(opened, monkeypatch):
    first = Hybrid(width=6).canonical()
    study = opened(warm_start=[first])
    with monkeypatch.context() as patched:
        patched.setattr(optuna.Trial, "suggest_categorical", lambda *_: pytest.fail("killed"))
        with pytest.raises(pytest.fail.Exception):
            study.ask()
    assert opened(warm_start=[first]).ask().key == first.key


def test_a_death_between_result_and_end_loses_nothing(opened, monkeypatch, tmp_path):
    study = opened()
    candidate = study.ask()
    monkeypatch.setattr(study._study, "tell", lambda *_: pytest.fail("killed"))
    with pytest.raises(pytest.fail.Exception):
        study.tell(result(candidate))
    assert [r.key for r in opened().results] == [candidate.key]
    assert states(tmp_path) == ["COMPLETE"]


def test_a_half_written_last_line_is_dropped(opened, tmp_path):
    study = opened()
    study.tell(result(study.ask()))
    with (tmp_path / JOURNAL).open("a") as journal:
        journal.write('{"op_code":4,"wor')
    with pytest.warns(UserWarning, match="half written"):
        again = opened()
    assert again.results == study.results
    again.tell(result(again.ask()))
    for line in (tmp_path / JOURNAL).read_text().splitlines():
        json.loads(line)


def test_other_settings_are_refused_by_name(opened):
    opened(fixed={"train": {"epochs": 3, "batch": 2}})
    opened(fixed={"train": {"epochs": 3, "batch": 2}})
    with pytest.raises(UserError, match=r"train\.epochs was 3 and is 5"):
        opened(fixed={"train": {"epochs": 5, "batch": 2}})


def test_a_study_that_records_no_axes_is_isotropic(tmp_path):
    check_settings_unchanged({"seed": 1}, {"seed": 1, "space.axes": "isotropic"}, tmp_path)
    with pytest.raises(
        UserError, match=r'space\.axes was "isotropic" and is {"starts": \[0, 0, 2\]}'
    ):
        check_settings_unchanged({}, {"space.axes": {"starts": [0, 0, 2]}}, tmp_path)


def test_warm_starts_are_proposed_first_and_once(opened):
    points = [Hybrid(width=32), Hybrid(width=24, conv="ghost")]
    study = opened(warm_start=points)
    assert [study.ask().key for _ in points] == [point.key for point in points]
    study = opened(warm_start=points)
    keys = [candidate.key for candidate in itertools.islice(iter(study.ask, None), 6)]
    assert keys[:2] == [point.key for point in points]
    assert len(set(keys)) == 6


def stopped(candidate, epochs=4):
    reason = f"stopped after {epochs} of 10 epochs"
    return result(candidate, state="stopped", reason=reason, dice=None, epochs=epochs)


def test_a_stopped_candidate_is_infeasible_by_what_was_left_to_train(opened, tmp_path):
    study = opened(config(train={"patch": [32, 32, 32], "epochs": 10}))
    for epochs in (1, 4):
        study.tell(stopped(study.ask(), epochs))
    violations = [trial.constraints["stopped"] for trial in study._study.get_trials()]
    assert violations == pytest.approx([0.9, 0.6])
    assert study.begun == 2
    assert study.states == {"stopped": 2}


def test_a_stopped_candidate_that_is_proposed_again_is_a_repeat(opened):
    study = opened()
    candidate = study.ask()
    study.tell(stopped(candidate))
    study._enqueue("other", to_params(candidate.architecture))
    assert study.ask().key != candidate.key
    assert study.repeats == 1


def test_names_of_warm_starts_are_kept_beside_those_of_earlier_openings(opened, tmp_path):
    opened().name_starts({"a": "unet-s"})
    opened().name_starts({"b": "hybrid-s"})
    assert opened().starts == {"a": "unet-s", "b": "hybrid-s"}
    assert read_records(tmp_path, "hybrid", config().budget).starts == {
        "a": "unet-s",
        "b": "hybrid-s",
    }


def timed(candidate, **changes):
    return result(candidate, epochs=1, train_seconds=candidate.costs["macs"] / 1e6, **changes)


def growing(architecture):
    """A training takes 4 to 32 s."""
    return {"params": 1000 * architecture.width, "macs": 1e6 * architecture.width}


@pytest.mark.parametrize("sampler", ["ehvi", "random", "prior", "tpe"])
def test_what_takes_too_long_is_left_out(opened, sampler):
    run = config(search={"sampler": sampler, "startup": 1}, train={"patch": [32] * 3, "epochs": 1})
    study = opened(run, cost=growing)
    for _ in range(5):
        study.tell(timed(study.ask()))
    study.pace.most = 8.5
    widths = [study.ask().architecture.width for _ in range(4)]
    assert max(widths) <= 8
    assert {r.state for r in study.results} == {"complete"}  # nothing is told of it


def test_it_may_be_proposed_again(opened):
    run = config(restrict={"width": [32], "norm": ["batch"]})
    study = opened(run, cost=growing, patience=200)
    study.pace.observe("timed", {"macs": 1e6}, 5, 1.0)
    study.pace.most = 0.0
    assert study.ask() is None
    assert study.out_of_time
    assert study.exhausted is None
    assert opened(run, cost=growing).ask() is not None


def test_what_an_earlier_session_began_goes_on_whatever_it_takes(opened, tmp_path):
    run = config(search={"sampler": "random", "startup": 1})
    begun = opened(run, cost=growing).ask()
    checkpoint_in(tmp_path, begun.key).parent.mkdir()
    checkpoint_in(tmp_path, begun.key).touch()
    study = opened(run, cost=growing)
    study.pace.observe("timed", {"macs": 1e6}, 5, 1.0)
    study.pace.most = 0.0
    assert study.ask().key == begun.key
    assert study.ask() is None
    assert study.out_of_time
