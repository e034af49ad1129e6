"""The part of a search in which networks are scored with shared weights, batch by batch."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from nas.engine.supernet.jobs import SupernetJob
from nas.engine.supernet.score_batch import Scored, ScoreReport
from nas.search.supernet_record import SupernetRecord
from nas.study.contenders import Contenders
from nas.study.samplers.architecture_sampler import Params
from nas.study.scores import Score, Scores

BATCH = 64  # networks of one trial
MISSES = 10  # times the wanted scores: so many networks may be over the budget


@dataclass
class UnderWay:
    """A job that a worker has. `left`: the networks that it has not scored yet, by key."""

    job: SupernetJob
    left: dict[str, Params] = field(default_factory=dict)
    started: float = 0.0
    train_seconds: float = 0.0
    done: bool = False


class Scoring:
    """`candidates`: how many are to be scored, in `seconds` of all sessions at most, each on so
    many `cases`. `record`: what is kept of it."""

    def __init__(
        self,
        contenders: Contenders,
        scores: Scores,
        record: SupernetRecord,
        candidates: int,
        cases: int,
        seconds: float = math.inf,
    ) -> None:
        self._contenders, self._scores, self._record = contenders, scores, record
        self._candidates, self._cases, self._seconds = candidates, cases, seconds
        self._batches = self._misses = self._asked = 0
        self._known = False  # whether there seems to be nothing else to score

    @property
    def over(self) -> bool:
        """Whether no further network is to be scored."""
        enough = len(self._scores) >= self._candidates
        in_vain = self._misses > MISSES * self._candidates
        return enough or in_vain or self._known or self._record.scoring_seconds >= self._seconds

    @property
    def text(self) -> str:
        """How far it is: `400/5000 networks scored, Dice up to 0.7123`."""
        best = max((score.dice for score in self._scores), default=0.0)
        return f"{len(self._scores)}/{self._candidates} networks scored, Dice up to {best:.4f}"

    def next(self) -> UnderWay | None:
        """The next batch; None where all that is wanted is scored or under way."""
        count = min(BATCH, self._candidates - len(self._scores) - self._asked)
        if self.over or count <= 0:
            return None
        found = self._contenders.next(count)
        if not found:
            self._known = self._asked == 0
            return None
        self._batches += 1
        self._asked += len(found)
        batch = {self._contenders.network(params).key: params for params in found}
        networks = [self._contenders.network(params) for params in found]
        return UnderWay(SupernetJob(name=f"scores-{self._batches}", batch=networks), batch)

    def take(self, batch: UnderWay, report: ScoreReport, slots: int) -> None:
        """Keep what a worker scored; so many of them work side by side.

        Raises OSError where the file of the scores cannot be written; see `Scores.add`.
        """
        new = [score for one in report.scored if (score := self._score(batch, one))]
        self._asked -= len(report.scored)
        self._misses += len(report.scored) - len(new)
        self._record.scoring_seconds += report.seconds / max(1, slots)
        self._scores.add(new)

    def rest(self, batch: UnderWay) -> UnderWay:
        """The batch without what was scored, for another worker."""
        networks = [self._contenders.network(params) for params in batch.left.values()]
        job = SupernetJob(name=batch.job.name, batch=networks)
        return UnderWay(job, batch.left, batch.started, batch.train_seconds)

    def give_back(self, batch: UnderWay) -> None:
        """Nobody scores the rest of the batch: it comes first, where more are scored."""
        self._asked -= len(batch.left)
        self._contenders.give_back(list(batch.left.values()))

    def drop(self, batch: UnderWay) -> None:
        """Nobody ever scores the rest of the batch."""
        self._asked -= len(batch.left)
        self._misses += len(batch.left)

    def _score(self, batch: UnderWay, scored: Scored) -> Score | None:
        params = batch.left.pop(scored.key, None)
        if params is None or scored.dice is None:
            return None
        return Score(
            key=scored.key,
            params=params,
            costs=scored.costs,
            dice=scored.dice,
            epoch=self._record.epochs or 0,
            cases=self._cases,
        )
