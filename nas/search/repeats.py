"""Who is trained again with another seed, and when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Protocol

from nas.pareto.front import front
from nas.pareto.front_chances import by_rank
from nas.pareto.result import Result
from nas.search.search_budget import SearchBudget, Spent
from nas.study.candidate import Candidate
from nas.study.study import Study
from trainers.errors import UserError

MOST = 8  # trainings of one network: it is known well enough


class Repeats(Protocol):
    """Says which network is to be trained again."""

    def next(self, under_way: Sequence[Candidate], spent: Spent) -> Candidate | None:
        """The next repeat beside what is `under_way`; None where none is to start now.

        `spent`: of the search's budget, with what is under way. To be called as often as one likes.
        """


@dataclass(frozen=True)
class FrontRepeats:
    """Within a search: members of the front, those with the fewest trainings first, then by Dice.

    The front is that of the mean Dice over all trainings so far: who was there by luck leaves it,
    and who comes in its place is trained again next.
    """

    study: Study
    budget: SearchBudget
    seed: int

    def next(self, under_way: Sequence[Candidate], spent: Spent) -> Candidate | None:
        """A repeat that the budget has room for, and that ends in time; see `Repeats`."""
        if not self.budget.wants_repeat(spent):
            return None
        members = sorted(front(self.study.results, self.study.objectives), key=_by_dice)
        seeds = [self._seeds(member, under_way) for member in members]
        left = self.budget.seconds_left(spent.seconds)
        fitting = [
            (len(trained), place)
            for place, trained in enumerate(seeds)
            if len(trained) < MOST - 1 and members[place].worker_seconds <= left
        ]
        if not fitting:
            return None
        _, place = min(fitting)
        free = next(seed for seed in count(self.seed + 1) if seed not in seeds[place])
        return repeat_of(members[place], free)

    def _seeds(self, member: Result, under_way: Sequence[Candidate]) -> set[int]:
        """Those of its repeats, ended or begun."""
        begun = {one.seed for one in under_way if one.key == member.key and one.seed is not None}
        return begun | self.study.repeat_seeds(member.key)


@dataclass(frozen=True)
class ChosenRepeats:
    """After a search: those that are `wanted`, in this order, whatever they take."""

    study: Study
    wanted: Sequence[Candidate]

    def next(self, under_way: Sequence[Candidate], spent: Spent) -> Candidate | None:
        """See `Repeats`."""
        begun = {candidate.name for candidate in under_way}
        missing = (one for one in self.wanted if one.seed not in self.study.repeat_seeds(one.key))
        return next((one for one in missing if one.name not in begun), None)


def choose_repeats(study: Study, top: int, times: int, seed: int) -> ChosenRepeats:
    """`times` repeats of each of the `top` networks that were nearest to the front.

    By their first trainings, so that the same call goes on with the same networks; repeats that
    lost their workers are made again. Raises UserError where none was trained to the end.
    """
    study.forget_lost_repeats()
    first = [replace(r, dice=r.trainings[0]) if r.trainings else r for r in study.results]
    chosen = by_rank(first, study.objectives)[:top]
    if not chosen:
        raise UserError(
            "the search has no candidate that was trained to the end and has all its objectives"
        )
    numbers = range(1, times + 1)
    return ChosenRepeats(study, [repeat_of(one, seed + n) for n in numbers for one in chosen])


def repeat_of(result: Result, seed: int) -> Candidate:
    """The training of the same network with another seed."""
    return Candidate(result.number, result.network(), result.most_costs, seed=seed)


def _by_dice(result: Result) -> tuple[float, str]:
    return -(result.dice or 0.0), result.key
