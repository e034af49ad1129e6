"""Who proposes architectures: samplers by name and arguments, and what comes before their model."""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import optuna
from optuna import Study
from optuna.samplers import BaseSampler, BruteForceSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial

from nas.config.offered import load_offered, refuse_booleans
from nas.pareto.budget import Budget
from nas.study.samplers.delegating import Delegate
from nas.study.samplers.ehvi.sampler import EHVISampler
from nas.study.samplers.nsga import ArchitectureNSGAII, ArchitectureNSGAIII
from nas.study.samplers.prior_sampler import PriorSampler
from nas.study.samplers.sobol import QuasiRandomSampler, proposals_before
from nas.study.samplers.windowed import RecentTrials
from nas.study.study_settings import Costs, StudySettings
from nas.study.training_pace import TrainingPace
from search_spaces.all_params import params_as_added
from search_spaces.registry import find_space
from trainers.errors import UserError

if TYPE_CHECKING:
    from nas.config.run_config import SearchConfig

ENTRY_POINTS = "segnas.samplers"  # the group in which other packages offer samplers
OURS = ("ehvi", "tpe", "nsga2", "nsga3", "random", "qmc", "prior")
REHEARSAL = 6  # trials
SMALLEST = 4  # population of the genetic samplers
GIVEN = {  # what the search gives a sampler whose constructor takes it, and where that is set
    "space": "space.name",
    "restrict": "space.restrict",
    "paths": "space.restrict",
    "objectives": "objectives",
    "budget": "budget",
    "prior": "search.prior",
    "costs": "",
    "pace": "",
    "scores": "",
}
WITHOUT = {  # samplers of Optuna that no search of ours can use, and what does their work
    "GridSampler": "it needs every knob of a conditional space in one grid and ends a study by "
    "itself; use BruteForceSampler, with space.restrict",
    "PartialFixedSampler": "it fixes parameters; use space.restrict",
}


class Staged(Delegate):
    """The first `startup` proposals of a study by one sampler, all others by another.

    Counted are proposals, at the time they are made: warm starts are extra, and a proposal counts
    whatever becomes of it, so that a tight budget does not prolong the start.
    """

    def __init__(self, first: BaseSampler, then: BaseSampler, startup: int) -> None:
        super().__init__(then)
        self._first, self._startup = first, startup
        self._over: int | None = None  # a trial by which the start-up had ended

    def choose(self, study: Study, trial: FrozenTrial) -> tuple[BaseSampler, Study]:
        """The sampler whose turn it is."""
        if self._over is None or trial.number < self._over:
            if proposals_before(study, trial.number) < self._startup:
                return self._first, study
            self._over = trial.number
        return self._model, study


class _Exhaustive(BruteForceSampler):
    """Optuna's own stops the study after its last trial, which only its own loop can be told."""

    def after_trial(self, *_: Any) -> None:
        return


def make_sampler(
    settings: StudySettings, costs: Costs, seed: int, pace: TrainingPace | None = None
) -> BaseSampler:
    """The sampler that `settings.search` names, after its start-up proposals.

    `ehvi`: ours, which knows what networks cost. `tpe`: Optuna's, multivariate, grouped (so that
    conditional knobs are modelled together) and with running trials as bad ones; from 1,000 trials
    on, it sees the newest and the best of them. `nsga2`, `nsga3`: on architectures, populations of
    `startup`, at least `SMALLEST`, unless told otherwise. `random`, `qmc`, `prior`. Else a class of
    `optuna.samplers`, or one that another package offers; it gets what its constructor takes of
    `seed`, `space`, `restrict`, `prior`, `costs`, `pace`, `objectives`, `budget` and `scores`.
    Raises TypeError or ValueError for arguments that the sampler does not take, and whatever its
    constructor raises.
    """
    search = settings.search
    known = _known(settings, costs, pace or TrainingPace(settings.epochs))
    model = _make(*_named(search), search, known, seed)
    if settings.scores is not None:  # which know more than draws of the prior
        return model
    if isinstance(model, (QuasiRandomSampler, PriorSampler)) or type(model) is RandomSampler:
        return model
    other = int(np.random.SeedSequence(seed).generate_state(1)[0])  # for a model that draws, too
    first = _make(search.startup_sampler, {}, search, known, other)
    return Staged(first, model, search.startup)


def check_sampler(search: SearchConfig) -> None:
    """Try out what `search.sampler` names on a few trials of two objectives.

    Raises UserError for an unknown name, a wrong argument, or a sampler that cannot do it.
    """
    name, arguments = _named(search)
    make = _maker(name)
    if search.strategy == "supernet" and "scores" not in _parameters(make):
        raise UserError(
            f"search.sampler: {name} knows nothing of scores by shared weights, as search.strategy "
            "= supernet has them; use ehvi, or set search.strategy=train"
        )
    if "seed" in arguments:
        raise UserError(f"search.sampler: {name} gets its seed from the run; set `seed` there")
    for argument in (one for one in GIVEN if one in arguments and one in _parameters(make)):
        where = GIVEN[argument] and f"; set `{GIVEN[argument]}`"
        raise UserError(f"search.sampler: {name} gets its {argument} from the search{where}")
    refuse_booleans("search.sampler", arguments, _parameters(make))
    try:
        _rehearse(search)
    except Exception as error:  # whatever a sampler raises, it cannot do this search
        raise UserError(
            f"search.sampler: {name} cannot propose for this search: {error}; its arguments are "
            f"{_accepted(make)}"
        ) from error


def _named(search: SearchConfig) -> tuple[str, dict[str, Any]]:
    if isinstance(search.sampler, str):
        return search.sampler, {}
    arguments = dict(search.sampler)
    name = arguments.pop("name", None)
    if not isinstance(name, str):
        raise UserError(
            f"search.sampler = {search.sampler}: expected a name, or a mapping of `name` and "
            f"arguments, with one of {', '.join(_names())}"
        )
    return name, arguments


def _names() -> list[str]:
    classes = [name for name in optuna.samplers.__all__ if name.endswith("Sampler")]
    return [*OURS, *(c for c in classes if not c.startswith("Base") and c not in WITHOUT)]


def _maker(name: str) -> type[BaseSampler]:
    ours: dict[str, type[BaseSampler]] = {
        "ehvi": EHVISampler,
        "tpe": TPESampler,
        "nsga2": ArchitectureNSGAII,
        "nsga3": ArchitectureNSGAIII,
        "random": RandomSampler,
        "qmc": QuasiRandomSampler,
        "prior": PriorSampler,
        "BruteForceSampler": _Exhaustive,
    }
    if name in WITHOUT:
        raise UserError(f"search.sampler: {name} cannot propose architectures: {WITHOUT[name]}")
    if name in _names():
        return ours.get(name) or getattr(optuna.samplers, name)
    kind = load_offered(ENTRY_POINTS, "search.sampler", name, _names())
    if not (isinstance(kind, type) and issubclass(kind, BaseSampler)):
        raise UserError(f"search.sampler: {name} is {kind!r}; expected a class of BaseSampler")
    return kind


def _make(
    name: str,
    given: Mapping[str, Any],
    search: SearchConfig,
    known: Mapping[str, Any],
    seed: int,
) -> BaseSampler:
    make = _maker(name)
    if name == "tpe":
        given = {"multivariate": True, "group": True, "constant_liar": True, **given}
    if name in ("nsga2", "nsga3"):
        given = {"population_size": max(search.startup, SMALLEST), **given}
    accepted = _parameters(make)
    told = {**known, "seed": seed}
    given = {**given, **{name: value for name, value in told.items() if name in accepted}}
    if "n_startup_trials" in accepted:  # the start is over when the model is asked
        given.setdefault("n_startup_trials", 1)
    if "warn_independent_sampling" in accepted and make is not TPESampler:  # TPE's is deprecated
        given.setdefault("warn_independent_sampling", False)
    model = make(**given)
    return RecentTrials(model) if isinstance(model, TPESampler) else model


def _known(settings: StudySettings, costs: Costs, pace: TrainingPace) -> dict[str, Any]:
    """What a study knows of its search, which a sampler gets where its constructor takes it."""
    return {
        "space": settings.space,
        "restrict": settings.restrict,
        "paths": params_as_added(settings.space.kind, settings.restrict),
        "objectives": settings.objectives,
        "budget": settings.budget,
        "prior": settings.prior,
        "costs": costs,
        "pace": pace,
        "scores": settings.scores,
    }


def _accepted(make: type[BaseSampler]) -> str:
    """The arguments that can be written in YAML."""
    own = {"seed", "elitism", "evolution", *GIVEN}
    objects = ("Callable", "Base", "FrozenTrial")
    takes = [
        name
        for name, annotation in _parameters(make).items()
        if name not in own and not any(word in annotation for word in objects)
    ]
    return ", ".join(takes) or "none"


def _parameters(make: type[BaseSampler]) -> dict[str, str]:
    """The annotations of what the constructor takes, and those that ours hand on to theirs."""
    kinds = [k for k in inspect.getmro(make) if k.__module__.startswith("nas.")] or [make]
    return {
        name: str(parameter.annotation)
        for kind in kinds
        for name, parameter in inspect.signature(kind).parameters.items()
    }


def _rehearse(search: SearchConfig) -> None:
    """A few trials in memory: a good one, a bad one, an infeasible one, in turns."""
    space = find_space("hybrid")
    fixed = {knob.name: knob.options[:1] for knob in space.knobs()}
    restrict = {**fixed, "width": (4, 8), "token_stages": (0, 1), "tokens.layers_count": (0, 2)}
    first = search.model_copy(update={"startup": 2})
    settings = StudySettings(
        space=space,
        restrict=restrict,
        objectives=("dice", "params"),
        budget=Budget(),
        epochs=1,
        search=first,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        sampler = make_sampler(settings, lambda _: {"params": 1.0}, 0)
        study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)
        for number in range(REHEARSAL):
            trial = study.ask()
            space.sample(trial, restrict)
            feasible = number % 3 < 2
            trial.set_constraint("failure", 0.0 if feasible else 1.0)
            study.tell(trial, [number / 10, 1.0] if feasible else [-math.inf, math.inf])
