"""The Optuna study of a search: ask, reject, tell. Its journal on disk is the only truth."""

from __future__ import annotations

from bisect import insort
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.samplers import RandomSampler
from optuna.trial import FrozenTrial, TrialState

from nas.cost.devices import DeviceLatencies
from nas.cost.latency import Conditions, Latency
from nas.pareto.result import Result, State
from nas.study.candidate import Candidate
from nas.study.constraints import values_of, violations
from nas.study.damage import damage_told
from nas.study.kept_share import at_kept_share
from nas.study.open_journal import open_journal
from nas.study.rejections import RejectionStreak
from nas.study.repeats import Repeat, read_repeats
from nas.study.samplers.factory import make_sampler
from nas.study.search_folder import checkpoint_in
from nas.study.stored_results import (
    AGAIN,
    BASELINE,
    KEPT,
    LATER,
    LOST,
    STARTS,
    baseline_records,
    by_key,
    compressed_results,
    ended_baselines,
    revised,
)
from nas.study.study_settings import Costs, StudySettings
from nas.study.training_pace import TrainingPace
from search_spaces.space import Architecture, to_params

PATIENCE = 500  # proposals in a row that may be refused before the space counts as exhausted
STUCK = 20  # repeats in a row after which every second proposal is a random one
TOO_SLOW = 50  # proposals in a row that take too long, after which none seems to fit any more


class Study:
    """Proposes architectures that were not tried, within the budget, and remembers results.

    `ask` and `tell` are for one process at a time; the journal can be opened again after any death
    of that process, and what was under way is then proposed first. `repeats` counts the proposals
    that were answered from the journal, or dropped since one was running; `begun` the trainings
    that ended, complete or stopped; `trained_again` the repeats of those. `pace` knows how long
    trainings take: a proposal that takes more than it allows is left out, and no result, but for
    one that `directory` has a checkpoint of.
    """

    def __init__(
        self,
        study: optuna.Study,
        settings: StudySettings,
        costs: Costs,
        patience: int = PATIENCE,
        repeats: Sequence[Repeat] = (),
        directory: Path | None = None,
    ) -> None:
        self._study, self._costs, self._patience = study, costs, patience
        self._directory = directory
        self._space, self._restrict = settings.space, settings.restrict
        self.objectives, self._budget = settings.objectives, settings.budget
        self._epochs = settings.epochs
        self._results: dict[str, Result] = {}
        self._told: dict[str, FrozenTrial] = {}  # what the sampler knows of them
        self._trained_again = by_key(repeats)
        self._running: dict[str, optuna.Trial] = {}
        self._in_vain = self._repeats = 0  # proposals in a row
        trials = study.get_trials(deepcopy=False)
        self.repeats = sum("repeat_of" in trial.user_attrs for trial in trials)
        self.begun = 0
        self.refusals = RejectionStreak(settings.budget)
        self.exhausted: str | None = None
        self.pace = TrainingPace(settings.epochs)
        self.left_out: list[Candidate] = []  # since somebody looked
        self._too_slow = 0  # in a row
        # Each opening draws on: the same seed again would propose the same random points again.
        seed = settings.seed + len(trials)
        self._sampler = make_sampler(settings, costs, _of_32_bits(seed), self.pace)
        self._random = RandomSampler(_of_32_bits(seed + 2**31))  # not the sampler's own sequence
        with damage_told():
            attributes = study.user_attrs  # Optuna copies them each time
            self.starts: Mapping[str, str] = attributes.get(STARTS, {})
            for trial in trials:
                if trial.state == TrialState.COMPLETE:
                    self._remember(trial, attributes)
            self.requeue()

    @classmethod
    def open(
        cls,
        directory: Path,
        settings: StudySettings,
        costs: Costs,
        *,
        fixed: Mapping[str, Any] | None = None,
        warm_start: Sequence[Architecture] = (),
        patience: int = PATIENCE,
    ) -> Study:
        """Start the study in `directory`, or go on with the one that is there.

        `fixed` are JSON values that must not change between openings; None where `settings` are
        those that the search itself recorded. Raises UserError with those that did.
        """
        study = open_journal(directory, settings.objectives, fixed)
        opened = cls(study, settings, costs, patience, read_repeats(directory), directory)
        for architecture in warm_start:
            opened._enqueue(architecture.canonical().key, to_params(architecture))
        return opened

    @property
    def id(self) -> str:
        """Names this study everywhere, whatever its folder is called."""
        return self._study.user_attrs["id"]

    def name_starts(self, names: Mapping[str, str]) -> None:
        """Remember what the networks tried first are called, beside those of earlier openings."""
        both = {**self.starts, **names}
        if both != self.starts:
            self._study.set_user_attr(STARTS, both)
            self.starts = both

    @property
    def baselines(self) -> list[Result]:
        """The baselines that were trained to the end."""
        return [one for one in self._ended_baselines if one.state == "complete"]

    @property
    def compressed(self) -> list[Result]:
        """The networks that were made smaller after the search and stand beside its front."""
        return [one for one in self._compressed if one.state == "complete"]

    @property
    def ended_beside(self) -> list[Result]:
        """All baselines that ended and all compressed networks, also those that are infeasible."""
        return [*self._ended_baselines, *self._compressed]

    def begun_baselines(self) -> dict[str, Mapping[str, Any]]:
        """See `nas.study.stored_results.baseline_records`."""
        return baseline_records(self._study.user_attrs)

    def begin_baseline(self, baseline: Candidate) -> None:
        """Remember that it is under way, until `tell` has its result."""
        self._study.set_user_attr(BASELINE + baseline.baseline, baseline.record)

    @property
    def results(self) -> list[Result]:
        """Every ended candidate once, over-budget ones included, in the order of their ends."""
        return list(self._results.values())

    @property
    def states(self) -> Counter[State]:
        """How many candidates ended in each way."""
        return Counter(result.state for result in self._results.values())

    @property
    def epochs(self) -> int:
        """All that were trained."""
        return sum(result.epochs for result in self._results.values())

    @property
    def trained_again(self) -> int:
        """How many repeats there are."""
        return sum(map(len, self._trained_again.values()))

    def forget_lost_repeats(self) -> None:
        """Those that tell nothing, so that they are wanted again."""
        for key, repeats in self._trained_again.items():
            self._trained_again[key] = [repeat for repeat in repeats if repeat.tells]

    def repeat_seeds(self, key: str) -> set[int]:
        """Those with which the candidate was trained again."""
        return {repeat.seed for repeat in self._trained_again.get(key, ())}

    def find(self, key: str) -> Result | None:
        """How the candidate of this key ended, if it did."""
        return self._results.get(key)

    def was_complete(self, key: str) -> bool:
        """Whether the training of the ended candidate of this key came to its end, whatever was
        measured of it since."""
        return self._told[key].user_attrs["result"]["state"] == "complete"

    def ask(self) -> Candidate | None:
        """The next architecture to train; None where `exhausted` says why there is no more.

        Repeats end as their first trial did, candidates over the budget end here as infeasible, and
        what takes too long is left out: none is returned. None, too, after every `TELL_AFTER` over
        the budget in a row, so that the caller can tell the `refusals` and ask again, and once
        `out_of_time`.
        """
        while self._in_vain < self._patience and not self.out_of_time:
            stuck = self._repeats >= STUCK and self._repeats % 2 == 0
            self._study.sampler = self._random if stuck else self._sampler
            trial = self._study.ask()
            architecture = self._space.sample(trial, self._restrict)
            self._study.sampler = self._sampler  # learns of random ones, too
            if self._is_repeat(trial, architecture.key):
                self._repeats += 1
                self._in_vain += 1
                continue
            self._repeats = 0
            self._running[architecture.key] = trial
            candidate, reason = self._inspect(trial.number, architecture)
            if reason is None and not self._is_in_time(candidate):
                self._leave_out(candidate)
                continue
            if reason is None:
                self._too_slow = 0
                trial.set_user_attr("key", architecture.key)
                return candidate
            self.refuse(candidate.infeasible(reason))
            if self.refusals.due:
                return None
        if self.out_of_time:
            return None
        self.exhausted = (
            f"{self._patience} proposals in a row were tried before or over budget: the space, "
            "restricted as it is, seems to hold no other architecture"
        )
        return None

    @property
    def out_of_time(self) -> bool:
        """Whether nothing that is proposed can be trained in the time there is."""
        return self._too_slow >= TOO_SLOW

    def admit(self) -> None:
        """What `ask` returned is trained: not all was in vain."""
        self._in_vain = self._repeats = 0
        self.refusals.clear()

    def refuse(self, result: Result) -> None:
        """Record why a candidate is not trained at all."""
        self._in_vain += 1
        self.refusals.add(result)
        self._record(result)

    def tell(self, result: Result) -> Result:
        """Record how the training of a baseline, or of a candidate that `ask` returned, ended.

        Returns it as it is recorded: where a network was seen to leave out queries, with the
        multiply-accumulates that are left.
        """
        result = at_kept_share(result, self._costs)
        if result.baseline:
            self._study.set_user_attr(BASELINE + result.baseline, result.to_json())
            return result
        self.admit()
        self._record(result)
        return result

    def requeue(self) -> None:
        """Fail what is under way, or was when a process died, and propose it again first."""
        for trial in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            if told := trial.user_attrs.get("result"):  # died between its result and its end
                values = values_of(Result.from_json(told, self._space.name), self.objectives)
                self._remember(self._study.tell(trial.number, values))
                continue
            self._study.tell(trial.number, state=TrialState.FAIL)
            if key := trial.user_attrs.get("key"):
                # Where a death cut its proposal off, `params` has only some of them.
                self._enqueue(key, trial.system_attrs.get("fixed_params", trial.params))
        self._running.clear()

    def _enqueue(self, key: str, params: Mapping[str, Any]) -> None:
        waiting = self._study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
        if key not in self._told and all(t.user_attrs.get("key") != key for t in waiting):
            self._study.enqueue_trial(dict(params), user_attrs={"key": key})

    def revise(self, name: str, latency: Latency | DeviceLatencies) -> Result:
        """Put a latency that was measured again in the place of the first one of a complete
        candidate, baseline or compressed network of that `Result.name`.

        The sampler hears of it where the study is opened again, if it reads results. Over the
        budget now, the network is infeasible.
        """
        if isinstance(latency, DeviceLatencies):
            return self._measured(AGAIN, name, latency)
        self._study.set_user_attr(AGAIN + name, latency.to_json())
        return self._now(name)

    def add_latencies(self, name: str, latencies: DeviceLatencies) -> Result:
        """Those of a complete candidate or baseline that had to wait for their devices; see
        `revise`.
        """
        return self._measured(LATER, name, latencies)

    def lose(self, name: str, reason: str) -> Result:
        """A complete candidate or baseline that had to wait for a device is infeasible there."""
        self._study.set_user_attr(LOST + name, reason)
        return self._now(name)

    @property
    def device_conditions(self) -> dict[str, Conditions]:
        """Under which each of several devices measured when the search began; empty without."""
        found = self._study.user_attrs["facts"].get("latency", {}).get("devices") or {}
        return {name: Conditions.from_json(told) for name, told in found.items() if told}

    def _measured(self, attribute: str, name: str, latencies: DeviceLatencies) -> Result:
        old = self._study.user_attrs.get(attribute + name) or {}  # None of one that was replaced
        self._study.set_user_attr(attribute + name, {**old, **latencies.to_json()})
        return self._now(name)

    def _now(self, name: str) -> Result:
        """The candidate, or what stands beside the front, by all that is recorded."""
        if name in self._told:
            return self._revise(self._told[name])
        return next(one for one in self.ended_beside if one.name == name)

    def add_repeat(self, repeat: Repeat) -> Result:
        """A complete candidate with one more training of it, which `Repeat.write` keeps.

        The sampler keeps what it was told.
        """
        repeats = self._trained_again.setdefault(repeat.key, [])
        insort(repeats, repeat, key=lambda one: one.seed)  # as they are read from their files
        return self._revise(self._told[repeat.key])

    def keep_latency(self, name: str, reason: str) -> None:
        """Remember that the network of that `Result.name` could not be measured again, and why."""
        self._study.set_user_attr(KEPT + name, reason)

    def was_asked_again(self, name: str, devices: Sequence[str] = ()) -> bool:
        """Whether the latency of the network of that `Result.name` was measured again, of several
        `devices` on all of them, or could not be."""
        again = self._study.user_attrs.get(AGAIN + name)
        measured = again is not None and set(devices) <= set(again)
        return measured or self._study.user_attrs.get(KEPT + name) is not None

    @property
    def _ended_baselines(self) -> list[Result]:
        return ended_baselines(self._study.user_attrs, self._budget)

    @property
    def _compressed(self) -> list[Result]:
        return compressed_results(self._study.user_attrs, self._budget)

    def _revise(self, trial: FrozenTrial, attributes: Mapping[str, Any] | None = None) -> Result:
        result = Result.from_json(trial.user_attrs["result"], self._space.name)
        repeats = self._trained_again.get(result.key, ())
        told = self._study.user_attrs if attributes is None else attributes
        self._results[result.key] = result = revised(result, told, repeats, self._budget)
        return result

    def _record(self, result: Result) -> None:
        trial = self._running[result.key]
        for name, value in violations(result, self._budget, self._epochs).items():
            trial.set_constraint(name, value)
        trial.set_user_attr("result", result.to_json())
        self._remember(self._study.tell(trial, values_of(result, self.objectives)))
        del self._running[result.key]

    def _is_in_time(self, candidate: Candidate) -> bool:
        """Whether there is time to train it, or an earlier session has begun to."""
        begun = self._directory and checkpoint_in(self._directory, candidate.key).exists()
        return bool(begun) or self.pace.fits(candidate.costs)

    def _leave_out(self, candidate: Candidate) -> None:
        """It is not trained, and may be proposed again: another session has other hours."""
        self._study.tell(self._running.pop(candidate.key), state=TrialState.FAIL)
        self.left_out.append(candidate)
        self._too_slow += 1

    def _inspect(self, number: int, architecture: Architecture) -> tuple[Candidate, str | None]:
        """The candidate with its costs, and why it is not to be trained, if so.

        Raises OSError and MemoryError: too little memory or too many open files pass, and a verdict
        would stay. `requeue` then has it proposed again.
        """
        try:
            costs = self._costs(architecture)
        except (OSError, MemoryError):
            raise
        except Exception as error:  # whatever a network raises, it is the network's own end
            return Candidate(number, architecture), f"cannot be built: {error}"
        return Candidate(number, architecture, costs), self._budget.reason(costs)

    def _is_repeat(self, trial: optuna.Trial, key: str) -> bool:
        ended = self._told.get(key)
        if key not in self._running and ended is None:
            return False
        self.repeats += 1
        trial.set_user_attr("repeat_of", key)
        if ended is None:
            self._study.tell(trial, state=TrialState.FAIL)
            return True
        for name, value in ended.constraints.items():
            trial.set_constraint(name, value)
        self._study.tell(trial, ended.values)
        return True

    def _remember(self, trial: FrozenTrial, attributes: Mapping[str, Any] | None = None) -> None:
        if "result" in trial.user_attrs:
            result = self._revise(trial, attributes)
            self.begun += result.state != "infeasible"
            self.pace.observe(result.key, result.most_costs, result.epochs, result.train_seconds)
            self._told[result.key] = trial


def _of_32_bits(seed: int) -> int:
    """A seed as Optuna's samplers take it: itself, or one that is drawn from it."""
    return seed if seed < 2**32 else int(np.random.SeedSequence(seed).generate_state(1)[0])
