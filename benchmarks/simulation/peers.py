"""Searches of other packages, each as its own documentation drives it: see benchmarks/peers.txt.

They see what a user would give them: the knobs, 1 - Dice and log10 of the costs. Those without
early stopping train every network to the end.
"""

from __future__ import annotations

import random
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from .choices import Choices
from .replay import Policy, Run
from .table import Table

Places = Mapping[str, int]
POPULATION = 16  # of what evolves: a quarter of the trainings, as all begin with random ones
START = 10  # random trainings before a Gaussian process is fitted


@dataclass(frozen=True)
class Peer:
    """`name`: one of `KINDS`."""

    name: str

    def policy(self, table: Table, objectives: Sequence[str], seed: int, budget: int) -> Policy:
        """A new search."""
        import torch

        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)
        warnings.simplefilter("ignore")
        return KINDS[self.name](table, Choices(table, objectives), seed, budget)


class _Whole:
    """A search that learns of whole trainings only."""

    def __init__(self, table: Table, choices: Choices, seed: int, budget: int) -> None:
        self.choices, self.seed, self.trainings = choices, seed, budget // table.epochs
        self.places: dict[str, Places] = {}
        self.begin()

    def ask(self, begun: int) -> Run | None:
        if (places := self.propose()) is None:
            return None
        name = str(len(self.places))
        self.places[name] = places
        return Run(name, self.choices.key(places))

    def report(self, run: Run, curve: Sequence[float]) -> bool:
        return True

    def end(self, run: Run, curve: Sequence[float], complete: bool) -> None:
        self.tell(run.name, self.choices.losses(run.key, curve[-1]))

    def begin(self) -> None:
        raise NotImplementedError

    def propose(self) -> Places | None:
        raise NotImplementedError

    def tell(self, name: str, losses: list[float]) -> None:
        raise NotImplementedError


class _LogNEHVI(_Whole):
    """BoTorch: a Gaussian process for each objective, qLogNEHVI over all networks."""

    def begin(self) -> None:
        import torch

        options = self.choices.options
        self.all = [
            dict(zip(options, places, strict=True))
            for places in product(*(range(len(each)) for each in options.values()))
        ]
        self.x = torch.tensor([self._encode(places) for places in self.all], dtype=torch.double)
        self.row: dict[str, int] = {}
        self.told: dict[str, list[float]] = {}

    def propose(self) -> Places:
        if len(self.row) < START or len(self.told) < 2:
            return self._take(random.randrange(len(self.all)))
        import torch
        from botorch.acquisition.multi_objective.logei import (
            qLogNoisyExpectedHypervolumeImprovement,
        )
        from botorch.fit import fit_gpytorch_mll
        from botorch.models import ModelListGP, SingleTaskGP
        from botorch.models.transforms import Standardize
        from gpytorch.mlls import SumMarginalLogLikelihood

        x = self.x[[self.row[name] for name in self.told]]
        y = -torch.tensor(list(self.told.values()), dtype=torch.double)
        model = ModelListGP(
            *(SingleTaskGP(x, each, outcome_transform=Standardize(1)) for each in y.split(1, 1))
        )
        fit_gpytorch_mll(SumMarginalLogLikelihood(model.likelihood, model))
        low, high = y.min(0).values, y.max(0).values
        running = [self.row[name] for name in self.row if name not in self.told]
        acquisition = qLogNoisyExpectedHypervolumeImprovement(
            model,
            ref_point=(low - 0.1 * (high - low)).tolist(),
            X_baseline=x,
            X_pending=self.x[running] if running else None,
            prune_baseline=True,
        )
        with torch.no_grad():
            worth = torch.cat([acquisition(part[:, None]) for part in self.x.split(256)])
        worth[list(self.row.values())] = -torch.inf
        return self._take(int(worth.argmax()))

    def tell(self, name: str, losses: list[float]) -> None:
        self.told[name] = losses

    def _take(self, row: int) -> Places:
        self.row[str(len(self.row))] = row
        return self.all[row]

    def _encode(self, places: Places) -> list[float]:
        """Numbers in [0, 1] by their order, one of several else."""
        x: list[float] = []
        for path, options in self.choices.options.items():
            if path in self.choices.numbers or len(options) == 2:
                x.append(places[path] / (len(options) - 1))
            else:
                x += [float(place == places[path]) for place in range(len(options))]
        return x


class _NSGA2(_Whole):
    """pymoo, generation by generation."""

    def begin(self) -> None:
        from pymoo.algorithms.moo.nsga2 import NSGA2
        from pymoo.core.problem import Problem
        from pymoo.operators.crossover.sbx import SBX
        from pymoo.operators.mutation.pm import PM
        from pymoo.operators.repair.rounding import RoundingRepair
        from pymoo.operators.sampling.rnd import IntegerRandomSampling

        options = self.choices.options
        last = [len(each) - 1 for each in options.values()]
        problem = Problem(
            n_var=len(last), n_obj=self.choices.objectives, xl=0, xu=np.array(last), vtype=int
        )
        self.algorithm = NSGA2(
            pop_size=POPULATION,
            sampling=IntegerRandomSampling(),
            crossover=SBX(vtype=float, repair=RoundingRepair()),
            mutation=PM(vtype=float, repair=RoundingRepair()),
            eliminate_duplicates=True,
        )
        self.algorithm.setup(problem, termination=("n_gen", 10_000), seed=self.seed)
        self.generation: Any = None
        self.waiting: Iterator[np.ndarray] = iter(())
        self.found: dict[int, list[float]] = {}
        self.first = 0

    def propose(self) -> Places | None:
        if self.generation is None:
            self.generation, self.first = self.algorithm.ask(), len(self.places)
            self.found, self.waiting = {}, iter(self.generation.get("X"))
        x = next(self.waiting, None)
        return None if x is None else dict(zip(self.choices.options, map(int, x), strict=True))

    def tell(self, name: str, losses: list[float]) -> None:
        self.found[int(name) - self.first] = losses
        if len(self.found) == len(self.generation):
            self.generation.set("F", np.array([self.found[i] for i in sorted(self.found)]))
            self.algorithm.tell(infills=self.generation)
            self.generation = None


class _SMAC(_Whole):
    """SMAC3: a random forest of ParEGO's sums."""

    def begin(self) -> None:
        from ConfigSpace import Categorical, ConfigurationSpace, Integer
        from smac import HyperparameterOptimizationFacade, Scenario
        from smac.multi_objective.parego import ParEGO

        space = ConfigurationSpace(seed=self.seed)
        for path, options in self.choices.options.items():
            if path in self.choices.numbers:
                space.add(Integer(path, (0, len(options) - 1)))
            else:
                space.add(Categorical(path, list(range(len(options)))))
        names = [str(n) for n in range(self.choices.objectives)]
        self.folder = tempfile.TemporaryDirectory(prefix="smac")
        scenario = Scenario(
            space,
            objectives=names,
            n_trials=self.trainings,
            deterministic=True,
            seed=self.seed,
            output_directory=self.folder.name,
        )
        self.facade = HyperparameterOptimizationFacade(
            scenario,
            lambda config, seed: dict.fromkeys(names, 0.0),
            multi_objective_algorithm=ParEGO(scenario),
            overwrite=True,
            logging_level=False,
        )
        self.infos: list[Any] = []

    def propose(self) -> Places:
        self.infos.append(self.facade.ask())
        return {path: int(place) for path, place in dict(self.infos[-1].config).items()}

    def tell(self, name: str, losses: list[float]) -> None:
        from smac.runhistory.dataclasses import TrialValue

        self.facade.tell(self.infos[int(name)], TrialValue(cost=losses), save=False)


class _AgingEvolution(_Whole):
    """Syne Tune's regularised evolution by non-dominated sorting."""

    def begin(self) -> None:
        from syne_tune.optimizer.schedulers.multiobjective import (
            MultiObjectiveRegularizedEvolution,
        )

        self.searcher = MultiObjectiveRegularizedEvolution(
            _syne_tune_space(self.choices),
            population_size=POPULATION,
            sample_size=POPULATION // 4,
            multiobjective_priority=_ranks(),
            random_seed=self.seed,
        )

    def propose(self) -> Places:
        return dict(self.searcher.suggest())

    def tell(self, name: str, losses: list[float]) -> None:
        self.searcher.on_trial_complete(int(name), dict(self.places[name]), losses)


class _MOASHA:
    """Syne Tune's: random proposals, stopped by non-dominated sorting."""

    def __init__(self, table: Table, choices: Choices, seed: int, budget: int) -> None:
        from syne_tune.optimizer.schedulers.multiobjective.moasha import MOASHA

        self.choices, self.trials = choices, {}
        self.metrics = [str(n) for n in range(choices.objectives)]
        self.scheduler = MOASHA(
            _syne_tune_space(choices),
            self.metrics,
            time_attr="epoch",
            max_t=table.epochs,
            multiobjective_priority=_ranks(),
            random_seed=seed,
        )

    def ask(self, begun: int) -> Run:
        from datetime import datetime

        from syne_tune.backend.trial_status import Trial

        config = self.scheduler.suggest().config
        trial = Trial(len(self.trials), config, datetime.now())
        self.trials[str(trial.trial_id)] = trial
        self.scheduler.on_trial_add(trial)
        return Run(str(trial.trial_id), self.choices.key(config))

    def report(self, run: Run, curve: Sequence[float]) -> bool:
        return self.scheduler.on_trial_result(self.trials[run.name], self._result(run, curve)) == (
            "CONTINUE"
        )

    def end(self, run: Run, curve: Sequence[float], complete: bool) -> None:
        if complete:
            self.scheduler.on_trial_complete(self.trials[run.name], self._result(run, curve))
        else:
            self.scheduler.on_trial_remove(self.trials[run.name])

    def _result(self, run: Run, curve: Sequence[float]) -> dict[str, float]:
        losses = self.choices.losses(run.key, curve[-1])
        return {**dict(zip(self.metrics, losses, strict=True)), "epoch": len(curve)}


class _NePS:
    """Networks that are promoted go on from the epoch at which they were left."""

    def __init__(self, table: Table, choices: Choices, seed: int, budget: int) -> None:
        from neps import AskAndTell
        from neps.space import HPOCategorical, HPOInteger, SearchSpace

        _repair_neps()
        self.choices = choices
        elements: dict[str, Any] = {
            path: HPOInteger(0, len(options) - 1)
            if path in choices.numbers
            else HPOCategorical([str(place) for place in range(len(options))])
            for path, options in choices.options.items()
        }
        elements["epochs"] = HPOInteger(1, table.epochs, is_fidelity=True)
        self.search = AskAndTell(self.optimizer(SearchSpace(elements)))
        self.epochs: dict[str, int] = {}

    @staticmethod
    def optimizer(space: Any) -> Any:
        from neps.optimizers.algorithms import moasha

        return moasha(space)

    def ask(self, begun: int) -> Run:
        trial = self.search.ask()
        config = dict(trial.config)
        self.epochs[trial.id] = config.pop("epochs")
        done = self.epochs.get(trial.metadata.previous_trial_id or "", 0)
        places = {path: int(place) for path, place in config.items()}
        return Run(trial.id, self.choices.key(places), done)

    def report(self, run: Run, curve: Sequence[float]) -> bool:
        return len(curve) < self.epochs[run.name]

    def end(self, run: Run, curve: Sequence[float], complete: bool) -> None:
        losses = self.choices.losses(run.key, curve[-1])
        self.search.tell(run.name, {"objective_to_minimize": losses})


class _PriMO(_NePS):
    """Without priors, which it has no way to get from a space: MOASHA, then a Gaussian process."""

    @staticmethod
    def optimizer(space: Any) -> Any:
        from neps.optimizers.algorithms import primo

        return primo(space, prior_centers={})


KINDS: Mapping[str, Any] = {
    "BoTorch qLogNEHVI": _LogNEHVI,
    "pymoo NSGA-II": _NSGA2,
    "SMAC": _SMAC,
    "Syne Tune aging evolution": _AgingEvolution,
    "Syne Tune MOASHA": _MOASHA,
    "NePS MOASHA": _NePS,
    "NePS PriMO": _PriMO,
}


def _syne_tune_space(choices: Choices) -> dict[str, Any]:
    from syne_tune.config_space import choice

    return {path: choice(list(range(len(each)))) for path, each in choices.options.items()}


def _repair_neps() -> None:
    """NePS 0.17 fails where three networks of a rung are under way, and none of it has ended."""
    from neps.optimizers.utils.brackets import Rung

    select = Rung.mo_selector

    def only_of_some(rung: Any, **arguments: Any) -> Any:
        ended = rung.table.dropna(subset=["perf"])
        return select(rung, **arguments) if len(ended) else ended

    if select.__name__ != only_of_some.__name__:
        Rung.mo_selector = only_of_some


def _ranks() -> Any:
    """Syne Tune 0.16 takes the order of its non-dominated sorting for ranks; here it is those."""
    from syne_tune.optimizer.schedulers.multiobjective.multiobjective_priority import (
        NonDominatedPriority,
    )

    class Ranks(NonDominatedPriority):
        def priority_unsafe(self, objectives: np.ndarray) -> np.ndarray:
            return np.argsort(super().priority_unsafe(objectives))

    return Ranks()
