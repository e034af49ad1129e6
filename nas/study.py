"""The Optuna study of a search: ask, reject, tell. Its journal on disk is the only truth.

Optuna's samplers know three ends of a trial, of which only one serves an infeasible candidate:
FAILED trials are ignored by all of them, so that the region comes back; PRUNED ones are read by TPE
only. Here an infeasible candidate is COMPLETE with the worst values there are (an infinity is no
Dice) and a violated constraint, which TPE and NSGA-II rank behind every feasible one.
"""

from __future__ import annotations

import json
import math
import uuid
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.samplers import BaseSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.storages import JournalStorage
from optuna.trial import FrozenTrial, TrialState

from nas.config import RunConfig, SearchConfig
from nas.cost import Cost
from nas.journal import Journal
from nas.result import Result
from search_spaces.space import Architecture, distributions
from trainers.errors import UserError

JOURNAL = "journal.log"
PATIENCE = 500  # proposals in a row that may be refused before the space counts as exhausted
STUCK = 20  # repeats in a row after which every second proposal is a random one
MAXIMISED = ("dice",)


@dataclass(frozen=True)
class Candidate:
    """An architecture to train, its exact cost, and its number in the study."""

    number: int
    architecture: Architecture
    cost: Cost

    @property
    def key(self) -> str:
        """The architecture's key."""
        return self.architecture.key


@dataclass(frozen=True)
class _Answer:
    """What the study told its sampler of an architecture."""

    result: Result
    values: Sequence[float]
    constraints: Mapping[str, float]


class Study:
    """Proposes architectures that were not tried, within the budget, and remembers results.

    `ask` and `tell` are for one process at a time; the journal can be opened again after any death
    of that process, and what was under way is then proposed first.
    """

    def __init__(
        self,
        study: optuna.Study,
        config: RunConfig,
        cost: Callable[[Architecture], Cost],
        patience: int = PATIENCE,
    ) -> None:
        self._study, self._cost, self._patience = study, cost, patience
        self._space, self._restrict = config.space.space(), config.space.restrict
        self._objectives, self._budget = config.objectives, config.budget
        self._answers: dict[str, _Answer] = {}
        self._running: dict[str, optuna.Trial] = {}
        self.exhausted: str | None = None
        # Each opening draws on: the same seed again would propose the same random points again.
        seed = config.seed + len(study.get_trials(deepcopy=False))
        self._sampler, self._random = _sampler(config.search, seed), RandomSampler(seed)
        for trial in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
            self._remember(trial)
        self.requeue()

    @classmethod
    def open(
        cls,
        directory: Path,
        config: RunConfig,
        cost: Callable[[Architecture], Cost],
        *,
        facts: Mapping[str, Any] | None = None,
        warm_start: Sequence[Architecture] = (),
        patience: int = PATIENCE,
    ) -> Study:
        """Start the study in `directory`, or go on with the one that is there.

        `facts` are JSON values that must not change between openings. Raises UserError with those
        that did.
        """
        _quiet_optuna()
        study = optuna.create_study(
            storage=JournalStorage(Journal(directory / JOURNAL)),
            study_name="search",
            directions=["maximize" if o in MAXIMISED else "minimize" for o in config.objectives],
            load_if_exists=True,
        )
        _check_facts(study, {"objectives": config.objectives, **(facts or {})}, directory)
        opened = cls(study, config, cost, patience)
        for architecture in warm_start:
            opened._enqueue(architecture.canonical().key, distributions(architecture))
        return opened

    @property
    def id(self) -> str:
        """Names this study everywhere, whatever its folder is called."""
        return self._study.user_attrs["id"]

    @property
    def results(self) -> list[Result]:
        """Every ended candidate once, over-budget ones included, in the order of their ends."""
        return [answer.result for answer in self._answers.values()]

    @property
    def repeats(self) -> int:
        """Proposals that were answered from the journal, or dropped since one was running."""
        trials = self._study.get_trials(deepcopy=False)
        return sum("repeat_of" in trial.user_attrs for trial in trials)

    def ask(self) -> Candidate | None:
        """The next architecture to train; None, and `exhausted` says why, where there is none.

        Repeats get the answer that their first trial got, and candidates over the budget end here
        as infeasible: neither is returned.
        """
        repeats = 0
        for _ in range(self._patience):
            stuck = repeats >= STUCK and repeats % 2 == 0
            self._study.sampler = self._random if stuck else self._sampler
            trial = self._study.ask()
            architecture = self._space.sample(trial, self._restrict)
            if self._is_repeat(trial, architecture.key):
                repeats += 1
                continue
            self._running[architecture.key] = trial
            cost, reason = self._try_cost(architecture)
            if cost is None or reason:
                self.tell(_rejected(trial.number, architecture, cost, reason))
                continue
            trial.set_user_attr("key", architecture.key)
            return Candidate(trial.number, architecture, cost)
        self.exhausted = (
            f"{self._patience} proposals in a row were tried before or over budget: the space, "
            "restricted as it is, seems to hold no other architecture"
        )
        return None

    def tell(self, result: Result) -> None:
        """Record how a candidate that `ask` returned has ended."""
        trial = self._running[result.key]
        for name, value in self._violations(result).items():
            trial.set_constraint(name, value)
        trial.set_user_attr("result", result.to_json())
        self._remember(self._study.tell(trial, self._values(result)))
        del self._running[result.key]

    def requeue(self) -> None:
        """Fail what is under way, or was when a process died, and propose it again first."""
        for trial in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            if told := trial.user_attrs.get("result"):  # died between its result and its end
                values = self._values(Result.from_json(told))
                self._remember(self._study.tell(trial.number, values))
                continue
            self._study.tell(trial.number, state=TrialState.FAIL)
            if key := trial.user_attrs.get("key"):
                self._enqueue(key, trial.params)
        self._running.clear()

    def _enqueue(self, key: str, answers: Mapping[str, Any]) -> None:
        waiting = self._study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
        if key not in self._answers and all(t.user_attrs.get("key") != key for t in waiting):
            self._study.enqueue_trial(dict(answers), user_attrs={"key": key})

    def _try_cost(self, architecture: Architecture) -> tuple[Cost | None, str | None]:
        """The cost, and why it rules the architecture out, if it does."""
        try:
            cost = self._cost(architecture)
        except Exception as error:  # whatever a network raises, it is the network's own end
            return None, f"cannot be built: {error}"
        if excess := self._budget.excess(vars(cost)):
            over = ", ".join(f"{name} {vars(cost)[name]:,}" for name in excess)
            return cost, f"over budget: {over}"
        return cost, None

    def _is_repeat(self, trial: optuna.Trial, key: str) -> bool:
        answer = self._answers.get(key)
        if answer is None and key not in self._running:
            return False
        trial.set_user_attr("repeat_of", key)
        if answer is None:
            self._study.tell(trial, state=TrialState.FAIL)
            return True
        for name, value in answer.constraints.items():
            trial.set_constraint(name, value)
        self._study.tell(trial, answer.values)
        return True

    def _remember(self, trial: FrozenTrial) -> None:
        if told := trial.user_attrs.get("result"):
            result = Result.from_json(told)
            self._answers[result.key] = _Answer(result, trial.values, trial.constraints)

    def _values(self, result: Result) -> list[float]:
        if result.state == "complete":
            return [float(getattr(result, name)) for name in self._objectives]
        return [-math.inf if name in MAXIMISED else math.inf for name in self._objectives]

    def _violations(self, result: Result) -> dict[str, float]:
        """Above zero is infeasible: the log of how far over budget, or 1 for other failures."""
        if result.state == "complete":
            return {}
        excess = self._budget.excess(vars(result))
        return {name: math.log(ratio) for name, ratio in excess.items()} or {"failure": 1.0}


def _rejected(
    number: int, architecture: Architecture, cost: Cost | None, reason: str | None
) -> Result:
    return Result(
        number=number,
        key=architecture.key,
        architecture=architecture.to_json(),
        state="infeasible",
        reason=reason,
        params=cost.params if cost else None,
        macs=cost.macs if cost else None,
    )


def _sampler(config: SearchConfig, seed: int) -> BaseSampler:
    if config.sampler == "tpe":
        return TPESampler(
            n_startup_trials=config.startup,
            multivariate=True,
            group=True,
            constant_liar=True,
            seed=seed,
        )
    if config.sampler == "nsga2":
        return NSGAIISampler(population_size=max(config.startup, 2), seed=seed)
    return RandomSampler(seed)


def _check_facts(study: optuna.Study, facts: Mapping[str, Any], directory: Path) -> None:
    new = json.loads(json.dumps(facts))
    if "facts" not in study.user_attrs:
        study.set_user_attr("id", uuid.uuid4().hex)
        study.set_user_attr("facts", new)
    if changes := list(_changes(study.user_attrs["facts"], new)):
        raise UserError(
            f"{directory} holds a search with other settings; give --dir a new folder, or set "
            "them back:\n  " + "\n  ".join(changes)
        )


def _changes(old: Any, new: Any, name: str = "") -> Iterator[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in old | new:
            yield from _changes(old.get(key), new.get(key), f"{name}.{key}" if name else key)
    elif old != new:
        yield f"{name} was {_short(old)} and is {_short(new)}"


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _quiet_optuna() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
