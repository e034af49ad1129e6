"""Who proposes: the contract for every sampler, and what ours do besides."""

from __future__ import annotations

import math
import warnings
from collections import Counter
from typing import Any, ClassVar

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.samplers import RandomSampler
from optuna.trial import FrozenTrial

from nas.config.run_config import SearchConfig
from nas.study.samplers.factory import Staged, check_sampler, make_sampler
from nas.study.samplers.nsga import ArchitectureNSGAII, VariationOperator
from nas.study.samplers.sobol import QuasiRandomSampler
from nas.study.samplers.testing import SamplerContract, cost_of, settings_of
from nas.study.samplers.windowed import RecentTrials
from search_spaces.all_params import all_params, params_as_added
from search_spaces.hybrid import SPACE, Hybrid
from search_spaces.space import (
    Architecture,
    Option,
    RandomTrial,
    Restrictions,
    sample,
    to_params,
)
from trainers.errors import UserError

SMALL: Restrictions = {  # 2 x (1 + 3 x 4) parameter sets
    **{knob.name: knob.options[:1] for knob in SPACE.knobs()},
    "width": (4, 8),
    "token_stages": (0, 1),
    "tokens.layers_count": (1,),
    "tokens.layers.gate": ("both", "mixer", "mlp", "none"),
    "tokens.mlp_ratio": (1, 2, 4),
}
TOKENS: Restrictions = {"token_stages": (2,), "tokens.layers_count": (2, 3, 4)}


@pytest.fixture(autouse=True)
def _quiet() -> Any:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield


def raw_params(seed: int, restrict: Restrictions | None = None) -> dict[str, Option]:
    """A random point as it was asked for."""
    return to_params(sample(SPACE.kind, RandomTrial(seed), restrict))


def config(sampler: Any, startup: int = 4, startup_sampler: str = "random") -> SearchConfig:
    settings = {"sampler": sampler, "startup": startup, "startup_sampler": startup_sampler}
    return SearchConfig.model_validate(settings)


def sampler_of(
    search: SearchConfig, seed: int = 0, restrict: Restrictions | None = None
) -> optuna.samplers.BaseSampler:
    return make_sampler(settings_of(search, restrict), lambda n: {"params": cost_of(n)}, seed)


def objectives(architecture: Architecture) -> list[float] | None:
    """A Dice and a cost that knobs decide; None where the budget is exceeded."""
    assert isinstance(architecture, Hybrid)
    layers = sum(stage.layers_count for stage in architecture.tokens)
    cost = architecture.width * (architecture.convs + layers)
    return None if cost > 40 else [1 - 1 / (2 + architecture.width + layers), float(cost)]


def run(
    sampler: optuna.samplers.BaseSampler,
    trials: int,
    restrict: Restrictions | None = None,
    study: optuna.Study | None = None,
) -> optuna.Study:
    """Told as a search tells: infeasible is COMPLETE, infinite and violates a constraint."""
    study = study or optuna.create_study(directions=["maximize", "minimize"])
    study.sampler = sampler
    for _ in range(trials):
        trial = study.ask()
        told = objectives(SPACE.sample(trial, restrict))
        trial.set_constraint("cost", 1.0 if told is None else 0.0)
        study.tell(trial, told or [-math.inf, math.inf])
    return study


def generations(study: optuna.Study) -> list[int]:
    key = "ArchitectureNSGAII:generation"
    return [trial.system_attrs[key] for trial in study.get_trials(deepcopy=False)]


class TestTPE(SamplerContract):
    sampler = "tpe"


class TestTPEWithArguments(SamplerContract):
    sampler: ClassVar = {"name": "tpe", "n_ei_candidates": 8}


class TestEHVI(SamplerContract):
    sampler = "ehvi"


class TestPrior(SamplerContract):
    sampler = "prior"


class TestNSGAII(SamplerContract):
    sampler = "nsga2"


class TestNSGAIII(SamplerContract):
    sampler: ClassVar = {"name": "nsga3", "population_size": 6, "dividing_parameter": 2}


class TestRandom(SamplerContract):
    sampler = "random"


class TestQuasiRandom(SamplerContract):
    sampler = "qmc"


class TestTPEOfOptuna(SamplerContract):
    sampler = "TPESampler"
    repeats = 5  # the most in 18 studies


class TestNSGAIIOfOptuna(SamplerContract):
    sampler = "NSGAIISampler"


class TestNSGAIIIOfOptuna(SamplerContract):
    sampler = "NSGAIIISampler"


class TestQuasiRandomOfOptuna(SamplerContract):
    sampler = "QMCSampler"


class TestBruteForceOfOptuna(SamplerContract):
    sampler = "BruteForceSampler"


@pytest.mark.slow
class TestGPOfOptuna(SamplerContract):
    sampler: ClassVar = {"name": "GPSampler", "n_startup_trials": 15}


def test_evolution_proposes_better_than_chance() -> None:
    """The mean cost of feasible networks falls where cost is all that differs."""

    def late_costs(sampler: optuna.samplers.BaseSampler) -> float:
        trials = run(sampler, 120, TOKENS).get_trials()[60:]
        return sum(trial.constraints["cost"] for trial in trials) / len(trials)

    chance = late_costs(RandomSampler(0))
    ours = late_costs(sampler_of(config("nsga2", startup=10), 0, TOKENS))
    assert ours < chance / 2


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6))
def test_a_mutation_changes_exactly_one_knob(seed: int) -> None:
    before = raw_params(seed)
    after = VariationOperator(SPACE, seed=seed).mutate(before)
    changed = [path for path in before.keys() & after.keys() if before[path] != after[path]]
    assert len(changed) == 1
    asked = RandomTrial(0, after)  # what it opened is answered, what it closed is not
    assert to_params(sample(SPACE.kind, asked)) == after and asked.choices.keys() == after.keys()


def test_every_other_option_of_every_knob_is_a_mutation() -> None:
    restrict = {**SMALL, "token_stages": (0,)}
    restrict |= {"width": (4, 8, 12), "conv": ("standard", "ghost")}
    before = raw_params(0, restrict) | {"width": 4, "conv": "standard"}
    variation = VariationOperator(SPACE, restrict)
    found = Counter(
        (after["width"], after["conv"]) for after in (variation.mutate(before) for _ in range(400))
    )
    assert set(found) == {(8, "standard"), (12, "standard"), (4, "ghost")}
    # Knobs are drawn evenly, then options: 1/4, 1/4 and 1/2, within five standard deviations.
    assert 150 < found[4, "ghost"] < 250 and 55 < found[8, "standard"] < 145


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6))
def test_a_crossed_child_takes_every_answer_from_a_parent_that_has_one(seed: int) -> None:
    mother, father = raw_params(2 * seed), raw_params(2 * seed + 1)
    child = VariationOperator(SPACE, seed=seed).cross(mother, father)
    for path, answer in child.items():
        inherited = [parent[path] for parent in (mother, father) if path in parent]
        assert not inherited or answer in inherited
    assert sample(SPACE.kind, RandomTrial(0, child)) == sample(SPACE.kind, RandomTrial(1, child))


def test_whole_token_stages_are_inherited() -> None:
    """A third comes whole from each parent; a third is mixed, of 4 answers 7 in 8 of it really."""
    mother, father = (raw_params(seed, TOKENS) for seed in (3, 8))
    stage = [path for path in mother if path.startswith("tokens.0")]
    differing = [path for path in stage if mother[path] != father.get(path)]
    assert len(differing) >= 4
    variation = VariationOperator(SPACE, TOKENS)
    children = [variation.cross(mother, father) for _ in range(300)]
    whole = sum(all(child.get(path) == mother[path] for path in stage) for child in children)
    mixed = sum(
        {child.get(path) == mother[path] for path in differing} == {True, False}
        for child in children
    )
    assert whole > 300 / 4 and mixed > 300 / 5


def test_children_are_no_networks_that_were_tried() -> None:
    """Six points: two parents, three tried ones. Only one child is left."""
    restrict = {**SMALL, "token_stages": (0,), "width": (4, 8, 12), "convs": (1, 2)}
    points = [
        raw_params(0, restrict) | {"width": w, "convs": c} for w in (4, 8, 12) for c in (1, 2)
    ]
    tried = {frozenset(point.items()) for point in points[:5]}
    for seed in range(20):
        child = VariationOperator(SPACE, restrict, seed).child(points[:2], tried)
        assert child == points[5]


def test_evolution_ends_where_all_was_tried() -> None:
    study = run(sampler_of(config("nsga2"), 0, SMALL), 60, SMALL)
    found = {SPACE.sample(RandomTrial(0, t.params), SMALL).key for t in study.get_trials()}
    everything = {SPACE.sample(RandomTrial(seed), SMALL).key for seed in range(400)}
    assert found == everything


def test_a_single_point_is_no_endless_search() -> None:
    single = {knob: options[:1] for knob, options in SMALL.items()}
    study = run(sampler_of(config("nsga2", startup=2), 0, single), 5, single)
    assert len({str(trial.params) for trial in study.trials}) == 1


def test_warm_starts_and_start_up_proposals_become_parents() -> None:
    study = optuna.create_study(directions=["maximize", "minimize"])
    for preset in ("hybrid-xs", "hybrid-tokens"):
        study.enqueue_trial(dict(to_params(SPACE.presets()[preset])))
    run(sampler_of(config("nsga2", startup=4), 0, {}), 12, study=study)
    assert generations(study) == [0] * 4 + [1] * 4 + [2] * 4


def test_children_inherit_knobs_that_not_every_network_has() -> None:
    """With a parent that was not asked for it, Optuna's own draw it: 0.9 is one in five."""
    restrict: Restrictions = {
        "token_stages": (0, 1),
        "tokens.layers_count": (3,),
        "tokens.mixer": ("attention",),
        "tokens.layers.gate": ("both",),
    }
    study = optuna.create_study(directions=["maximize", "minimize"])
    for stages in [1] * 7 + [0]:
        pruned = {"token_stages": stages, "tokens.0.prune": 0.9}
        trial = RandomTrial(stages, raw_params(0, restrict) | pruned)
        study.enqueue_trial(dict(to_params(sample(SPACE.kind, trial, restrict))))
    run(ArchitectureNSGAII(SPACE, restrict, population_size=8, seed=0), 32, restrict, study)
    children = [trial.params for trial in study.get_trials()[8:]]
    prunes = [child["tokens.0.prune"] for child in children if "tokens.0.prune" in child]
    assert prunes.count(0.9) > 0.6 * len(prunes) > 6


def test_warm_starts_do_not_count_as_start_up() -> None:
    first, then = Noting(0), Noting(1)
    study = optuna.create_study(directions=["maximize", "minimize"])
    study.enqueue_trial(raw_params(0, SMALL))
    run(Staged(first, then, 3), 6, SMALL, study)
    assert first.numbers == {1, 2, 3} and then.numbers == {4, 5}


def test_start_up_and_model_draw_different_numbers() -> None:
    """Both of them begin with random proposals."""
    study = run(sampler_of(config("NSGAIISampler", startup=8), 0, {}), 16)
    assert len({str(trial.params) for trial in study.get_trials()}) == 16


class Noting(RandomSampler):
    """Remembers which trials it answered."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.numbers: set[int] = set()

    def sample_independent(self, study: Any, trial: FrozenTrial, *question: Any) -> Any:
        self.numbers.add(trial.number)
        return super().sample_independent(study, trial, *question)


def unevenness(study: optuna.Study, restrict: Restrictions) -> float:
    """Mean over questions that all trials were asked: largest minus smallest count of an option."""
    trials = study.get_trials()
    asked = set.intersection(*(set(trial.params) for trial in trials))
    gaps = []
    for path in asked:
        counts = Counter(trial.params[path] for trial in trials)
        options = all_params(SPACE.kind, restrict)[path]
        gaps.append(max(counts[o] for o in options) - min(counts[o] for o in options))
    return sum(gaps) / len(gaps)


def test_quasi_random_proposals_cover_options_evenly() -> None:
    restrict = {**TOKENS, "tokens.layers_count": (3,), "tokens.mixer": ("mamba",)}
    paths = params_as_added(SPACE.kind, restrict)
    even = [
        unevenness(run(QuasiRandomSampler(paths, seed), 16, restrict), restrict)
        for seed in range(5)
    ]
    chance = [unevenness(run(RandomSampler(seed), 16, restrict), restrict) for seed in range(5)]
    # 16 points of a Sobol sequence put 8 in each half, and 5 or 6 in each third (at most 1 off).
    assert max(even) < 1.5 < 2 < min(chance)


def test_quasi_random_proposals_go_on_in_another_process() -> None:
    paths = params_as_added(SPACE.kind)
    at_once = run(QuasiRandomSampler(paths, 7), 12)
    study = run(QuasiRandomSampler(paths, 7), 5)
    study.enqueue_trial(dict(to_params(SPACE.presets()["hybrid-xs"])))
    study = run(QuasiRandomSampler(paths, 12), 8, study=study)
    parts = [t.params for t in study.get_trials() if "fixed_params" not in t.system_attrs]
    assert parts == [trial.params for trial in at_once.get_trials()]


def test_a_knob_that_came_later_leaves_the_proposals_of_the_others() -> None:
    before, later = params_as_added(SPACE.kind)
    knobs = ("places", "tau", "noiseless", "directions", "confidence", "regularise")
    of_tokens = [f"tokens.{stage}.{knob}" for stage in range(2) for knob in knobs]
    assert later == ["anchors_head", *of_tokens]
    plain = {"tokens.mixer": ("attention",), "tokens.prune": (0.0,), "anchors": (0,)}
    alone, both = (
        [trial.params for trial in run(QuasiRandomSampler(paths, 7), 12, plain).get_trials()]
        for paths in ([before], [before, later])
    )
    assert alone == both
    adaptive = {**TOKENS, "tokens.mixer": ("adaptive",), "tokens.prune_queries": (True,)}
    trials = run(QuasiRandomSampler([before, later], 7), 16, adaptive).get_trials()
    counts = Counter(trial.params["tokens.0.confidence"] for trial in trials)
    assert set(counts.values()) == {4}  # 16 points of a Sobol sequence, a quarter each


def test_the_model_sees_the_newest_the_best_and_those_running() -> None:
    seen: list[list[int]] = []

    class Watching(RandomSampler):
        def sample_relative(self, study: Any, *_: Any) -> dict[str, Any]:
            seen.append([trial.number for trial in study.get_trials(deepcopy=False)])
            return {}

    sampler = RecentTrials(Watching(0), window=6)
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)
    # (Dice, cost): 1 and 3 are the front; 2 would be, but is infeasible; 0 is dominated by 1.
    told = [(0.5, 9.0), (0.6, 8.0), (0.9, 1.0), (0.3, 2.0), *[(0.1, 9.0)] * 6]
    for number, values in enumerate(told):
        trial = study.ask()
        trial.suggest_categorical("width", (4, 8))
        trial.set_constraint("failure", 1.0 if number == 2 else 0.0)
        study.tell(trial, values)
    running = study.ask()
    running.suggest_categorical("width", (4, 8))
    study.ask().suggest_categorical("width", (4, 8))
    assert seen[4] == [0, 1, 2, 3, 4]  # all of few
    assert seen[-1] == [1, 3, 4, 5, 6, 7, 8, 9, 10, 11]


def test_tpe_of_few_trials_is_optunas() -> None:
    plain = optuna.samplers.TPESampler(
        n_startup_trials=1, multivariate=True, group=True, constant_liar=True, seed=3
    )
    ours = run(sampler_of(config("tpe", startup=0), 3, {}), 14)
    theirs = run(plain, 14)
    assert [t.params for t in ours.get_trials()] == [t.params for t in theirs.get_trials()]


@pytest.mark.parametrize(
    ("sampler", "told"),
    [
        ("tpee", "tpee is unknown; there are ehvi, tpe, nsga2"),
        ({"n_ei_candidates": 4}, "expected a name"),
        ({"name": "tpe", "candidates": 4}, "unexpected keyword argument 'candidates'.*n_ei_cand"),
        ({"name": "tpe", "gamma": 3}, "not callable"),
        ({"name": "nsga2", "mutation_prob": 2}, "mutation_prob = 2; expected a probability"),
        ({"name": "tpe", "n_ei_candidates": True}, "n_ei_candidates = true: expected a number"),
        ({"name": "tpe", "n_ei_candidates": "64"}, "cannot propose for this search"),
        ({"name": "nsga2", "population_size": True}, "population_size = true: expected a number"),
        ({"name": "nsga2", "population_size": 1}, "greater than or equal to 2"),
        ({"name": "nsga2", "dividing_parameter": 3}, "unexpected keyword argument"),
        ({"name": "random", "seed": 3}, "seed from the run"),
        (
            {"name": "prior", "prior": {"conv": "ghost"}},
            "prior from the search; set `search.prior`",
        ),
        ({"name": "ehvi", "budget": {"params": 1}}, "budget from the search; set `budget`"),
        ({"name": "ehvi", "pace": 1}, "pace from the search$"),
        ("CmaEsSampler", "multi-objective"),
        ("GridSampler", "use BruteForceSampler"),
        ("PartialFixedSampler", "space.restrict"),
        ("BaseSampler", "unknown"),
    ],
    ids=str,
)
def test_what_cannot_propose_is_refused_at_the_door(sampler: Any, told: str) -> None:
    with pytest.raises(UserError, match=f"search.sampler.*{told}"):
        check_sampler(config(sampler))
