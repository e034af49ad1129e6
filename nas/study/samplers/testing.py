"""The contract of every sampler, for a sampler of your own to prove itself with pytest."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import optuna
import pytest
from optuna.storages import JournalStorage

from nas.config.run_config import SearchConfig
from nas.pareto.budget import Budget
from nas.study.journal import Journal
from nas.study.samplers.factory import check_sampler, make_sampler
from nas.study.study_settings import StudySettings
from search_spaces.hybrid import SPACE, Hybrid
from search_spaces.space import Architecture, Restrictions, to_params

TRIALS = 16
STARTUP = 4
LIMIT = 40  # of the cost, above which a network is infeasible
FEW: Restrictions = {"width": (4, 8), "token_stages": (0, 1, 2), "convs": (1, 2)}


class SamplerContract:
    """Tests of one sampler for pytest to collect.

    Subclass it in a test file, under a name that pytest collects, and say in `sampler` what
    `search.sampler` would say. They search the space `hybrid`, whose knobs are conditional, for
    two objectives that are computed, with some candidates over the budget.
    """

    sampler: ClassVar[str | Mapping[str, Any]]
    repeats: ClassVar[int] = 2  # of its proposals, at most, in a search of `TRIALS`

    @pytest.fixture(autouse=True)
    def quiet(self) -> Iterator[None]:
        """Without what Optuna says of every trial."""
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield

    def search(self, **changes: Any) -> SearchConfig:
        """A configuration that names the sampler."""
        return SearchConfig.model_validate(
            {"sampler": self.sampler, "startup": STARTUP, "startup_sampler": "random", **changes}
        )

    def run(
        self,
        trials: int = TRIALS,
        restrict: Restrictions | None = None,
        study: optuna.Study | None = None,
        seed: int = 0,
        **changes: Any,
    ) -> optuna.Study:
        """A study of so many trials more."""
        study = study or new_study()
        settings = settings_of(self.search(**changes), restrict)
        study.sampler = make_sampler(settings, lambda network: {"params": cost_of(network)}, seed)
        for _ in range(trials):
            tell(study, study.ask(), restrict)
        return study

    def test_it_is_let_in_by_its_name(self) -> None:
        check_sampler(self.search())

    @pytest.mark.parametrize("startup_sampler", ["prior", "random", "qmc"])
    def test_it_searches_conditional_knobs_with_constraints(self, startup_sampler: str) -> None:
        trials = self.run(startup_sampler=startup_sampler).get_trials()
        lengths = {len(trial.params) for trial in trials}
        assert len(lengths) > 1, f"all trials have {lengths} parameters; expected different numbers"
        assert any(trial.constraints["cost"] > 0 for trial in trials)
        assert len(proposals(trials)) >= TRIALS - self.repeats, "most proposals repeat others"

    def test_it_goes_on_without_a_feasible_candidate(self) -> None:
        trials = self.run(12, {"width": (32,), "convs": (3,)}).get_trials()
        assert all(trial.constraints["cost"] > 0 for trial in trials)

    def test_it_keeps_to_the_restrictions(self) -> None:
        for trial in self.run(restrict=FEW).get_trials():
            for knob, options in FEW.items():
                assert trial.params[knob] in options, f"{knob} = {trial.params[knob]}"

    def test_the_seed_decides_what_it_proposes(self) -> None:
        """As long as the same candidates end in the same order."""
        first, again, other = (self.run(seed=seed).get_trials() for seed in (3, 3, 4))
        assert [trial.params for trial in first] == [trial.params for trial in again]
        assert [trial.params for trial in first] != [trial.params for trial in other]

    def test_a_warm_start_is_its_first_proposal(self) -> None:
        study, start = new_study(), dict(to_params(SPACE.presets()["hybrid-xs"]))
        study.enqueue_trial(start)
        assert self.run(study=study).get_trials()[0].params == start

    def test_it_proposes_while_others_run(self) -> None:
        study = self.run(STARTUP + 1)
        waiting = [study.ask() for _ in range(3)]
        for trial in waiting:
            SPACE.sample(trial)
        for trial in reversed(waiting):
            tell(study, trial)
        assert len(proposals(study.get_trials())) > STARTUP + 1

    def test_another_process_goes_on_from_the_journal(self, tmp_path: Path) -> None:
        def study() -> optuna.Study:
            return new_study(JournalStorage(Journal(tmp_path / "journal.log")))

        self.run(study=study())
        trials = self.run(study=study(), seed=1).get_trials()  # a search that goes on has another
        assert len(trials) == 2 * TRIALS
        before, after = proposals(trials[:TRIALS]), proposals(trials[TRIALS:])
        assert after - before, "only proposals that the study had before; expected others"


def new_study(storage: JournalStorage | None = None) -> optuna.Study:
    """Of two objectives; the one in the storage, if there is one."""
    return optuna.create_study(
        storage=storage, study_name="test", directions=["maximize", "minimize"], load_if_exists=True
    )


def tell(study: optuna.Study, trial: optuna.Trial, restrict: Restrictions | None = None) -> None:
    """End the trial as a search ends it: infeasible is complete and violates a constraint."""
    network = SPACE.sample(trial, restrict)
    assert isinstance(network, Hybrid)
    cost = cost_of(network)
    trial.set_constraint("cost", 1.0 if cost > LIMIT else 0.0)
    quality = 1 - 1 / (2 + network.width + layers(network))
    study.tell(trial, [-math.inf, math.inf] if cost > LIMIT else [quality, cost])


def settings_of(search: SearchConfig, restrict: Restrictions | None = None) -> StudySettings:
    """A study of Dice and parameters in the space `hybrid`."""
    return StudySettings(
        space=SPACE,
        restrict=restrict or {},
        objectives=("dice", "params"),
        budget=Budget(),
        epochs=1,
        search=search,
    )


def cost_of(network: Architecture) -> float:
    """What is known of a network before it is told."""
    assert isinstance(network, Hybrid)
    return float(network.width * (network.convs + layers(network)))


def layers(network: Hybrid) -> int:
    """Transformer layers in all."""
    return sum(stage.layers_count for stage in network.tokens)


def proposals(trials: list[optuna.trial.FrozenTrial]) -> set[frozenset[tuple[str, Any]]]:
    """The different sets of parameters."""
    return {frozenset(trial.params.items()) for trial in trials}
