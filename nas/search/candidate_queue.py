"""Between asking and training: a candidate's latency is measured, and held against the budget."""

from __future__ import annotations

from nas.cost.devices import DeviceLatencies
from nas.cost.devices.prober import DevicesProber
from nas.cost.failure import Waiting
from nas.cost.latency import Latency
from nas.cost.latency_probe import Failure, Prober
from nas.pareto.budget import Budget
from nas.search.baseline_queue import BaselineQueue
from nas.study.candidate import Candidate
from nas.study.study import Study


class CandidateQueue:
    """Candidates that may be trained, one at a time; no call waits for a measurement.

    Without a `prober` no latency is measured. `baselines`, where there are any, take turns with the
    study's candidates. `waiting`: the devices that gave no latency, and why; candidates go on
    without.
    """

    def __init__(
        self,
        study: Study,
        budget: Budget,
        prober: Prober | DevicesProber | None,
        baselines: BaselineQueue | None = None,
    ) -> None:
        self._study, self._budget, self._prober = study, budget, prober
        self.baselines = baselines
        self.pending: Candidate | None = None  # asked for, and not taken yet
        self.failures = 0  # networks in a row that could not be measured
        self.waiting: dict[str, str] = {}
        self._ready = False

    @property
    def measures(self) -> bool:
        """Whether a candidate takes a while before it is ready."""
        return self._prober is not None

    @property
    def owes(self) -> bool:
        """Whether a baseline that an earlier session began is still to be trained."""
        return bool(self.baselines and self.baselines.unfinished)

    def advance(self) -> None:
        """Ask for a candidate where none is pending; else see whether it was measured."""
        if self.pending is None:
            self._ask()
        elif self._prober and not self._ready and (outcomes := self._prober.poll()):
            self._decide(self.pending, outcomes[0])

    def take(self) -> Candidate | None:
        """The candidate that is ready to be trained, if there is one."""
        if not self._ready:
            return None
        candidate, self.pending, self._ready = self.pending, None, False
        if candidate and self.baselines:
            self.baselines.begin(candidate)
        if candidate and not candidate.baseline:
            self._study.admit()
        return candidate

    def abandon(self) -> None:
        """Forget the pending candidate: the study will propose it again."""
        if self._prober and self.pending and not self._ready:
            self._prober.close()
        self.pending, self._ready = None, False
        if self.baselines:
            self.baselines.abandon()

    def _ask(self) -> None:
        due = self.baselines.next() if self.baselines else None
        self.pending = due or self._study.ask()
        if self.pending and self._prober:
            self._prober.submit([self.pending.architecture])
        self._ready = self.pending is not None and self._prober is None

    def _decide(
        self, candidate: Candidate, outcome: Latency | DeviceLatencies | Failure | Waiting
    ) -> None:
        if failed := isinstance(outcome, Failure | Waiting):  # it waits where there are devices
            reason: str | None = outcome.reason
        elif isinstance(outcome, DeviceLatencies):
            self.waiting |= outcome.waiting
            candidate = candidate.with_latencies(outcome.known)
            reason = self._budget.reason(candidate.costs)
        else:
            candidate = candidate.with_latency(outcome)
            reason = self._budget.reason(candidate.costs)
        if not candidate.baseline:
            self.failures = self.failures + 1 if failed else 0
        if reason is None:
            self.pending, self._ready = candidate, True
            return
        self.pending = None
        if self.baselines and candidate.baseline:
            self.baselines.refuse(candidate, reason, slow=not failed)
        else:
            self._study.refuse(candidate.infeasible(reason))
