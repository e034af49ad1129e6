"""When the baselines of a search are trained, and at which size."""

from __future__ import annotations

from nas.study.baselines import BaselineSizes, baseline_name, due_after
from nas.study.candidate import Candidate
from nas.study.study import Study
from search_spaces.registry import load_architecture
from search_spaces.space import Architecture


class BaselineQueue:
    """The baselines that are still to be trained, each due after some more candidates.

    `starts`: how many networks the search tries first; see `due_after`. Where the search chooses
    the size, no baseline has more multiply-accumulates than the largest candidate that was begun
    before it: a short search is not held up, and a kind without such a size waits for a larger
    candidate. `epochs`: that a baseline trains, where candidates may inherit weights and train
    fewer. What an earlier session began goes on first.
    """

    def __init__(self, study: Study, sizes: BaselineSizes, starts: int, epochs: int) -> None:
        self._study, self._sizes, self._starts, self._epochs = study, sizes, starts, epochs
        self._macs = {r.key: r.most_costs.get("macs", 0.0) for r in study.results if r.epochs}
        self._refused: set[str] = set()  # keys
        self._reasons: dict[str, str] = {}
        self.abandon()

    @property
    def left_out(self) -> dict[str, str]:
        """Why what was due is not trained, by its name in `search.baselines`."""
        return {name: why for name, why in self._reasons.items() if not self._is_begun(name)}

    def next(self) -> Candidate | None:
        """The baseline that is due; None where none is."""
        if self.unfinished:
            return self.unfinished[0]
        if len(self._macs) < due_after(len(self._begun), self._starts):
            return None
        most = max(self._macs.values())
        for name, points in self._sizes.points.items():
            if self._is_begun(name):
                continue
            if point := self._sizes.largest(name, most, self._refused):
                baseline = self._candidate(baseline_name(name, point), point)
                if self._study.pace.fits(baseline.costs, self._epochs):
                    return baseline
                self._reasons[name] = "there is no time left to train it"
            elif not self._refused & {point.key for point in points}:
                self._reasons[name] = self._sizes.why_none(name, most)
        return None

    def begin(self, candidate: Candidate) -> None:
        """A candidate, or a baseline, is trained from now on."""
        if not candidate.baseline:
            self._macs[candidate.key] = candidate.costs.get("macs", 0.0)
            return
        self._leave(candidate)
        if candidate.key not in self._begun:
            self._begun.add(candidate.key)
            self._study.begin_baseline(candidate)

    def refuse(self, baseline: Candidate, reason: str, slow: bool) -> None:
        """Its latency is over the budget (`slow`: a smaller size is tried), or was not measured."""
        self._leave(baseline)
        for name, points in self._sizes.points.items():
            keys = {point.key for point in points}
            if baseline.key in keys:
                self._refused |= {baseline.key} if slow else keys
                self._reasons[name] = reason

    def abandon(self) -> None:
        """The engine stopped: what is under way goes on at its next start."""
        begun = self._study.begun_baselines()
        self._begun = {record["key"] for record in begun.values()}
        self.unfinished = [
            self._candidate(name, load_architecture(record))
            for name, record in begun.items()
            if "state" not in record
        ]

    def _candidate(self, name: str, architecture: Architecture) -> Candidate:
        costs = self._sizes.count(architecture)
        return Candidate(len(self._begun), architecture, costs, baseline=name)

    def _is_begun(self, name: str) -> bool:
        return bool(self._begun & {point.key for point in self._sizes.points[name]})

    def _leave(self, baseline: Candidate) -> None:
        """It waits no longer, if it did."""
        self.unfinished = [one for one in self.unfinished if one.key != baseline.key]
