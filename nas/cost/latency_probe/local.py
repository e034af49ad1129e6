"""A prober in a process of its own on this machine."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any

import numpy as np

from nas.cost.failure import Failure
from nas.cost.latency import Conditions, Latency
from nas.cost.latency_probe.child_process import Child
from nas.cost.latency_probe.task import ProbeTask, Trained
from search_spaces.registry import architecture_record
from search_spaces.space import Architecture
from trainers.errors import UserError

STARTS = 3  # how often in a row a process may die before it does anything
IMPORTS = 120.0  # seconds, beside the limit of one network, in which it has to do anything


class LocalProber:
    """See `Prober`. The process is started when it is needed, or before by `start`, and kept as
    long as nothing fails.

    After a crash, an error or a timeout a new process measures the rest of the set together; where
    it is unknown which network is to blame, one by one.
    """

    def __init__(self, task: ProbeTask, start: Callable[[ProbeTask], Child] = Child) -> None:
        self._task, self._start = task, start
        self._child: Child | None = None
        self._starts = 0
        self._records: list[dict[str, Any]] = []
        self._windows: dict[str, str] = {}  # where there are any
        self._inputs = 1  # of a pass
        self._answers: list[Latency | Failure | None] = []
        self._rounds: deque[list[int]] = deque()  # sets of positions to measure
        self._round: list[int] = []  # the set under way
        self._begun = False  # whether anything of that set was
        self._asked = 0.0  # when it was asked for
        self._building: int | None = None
        self._left = 0.0  # seconds of the limit, as of `_since`
        self._since: float | None = None  # None: the clock stands still

    def start(self) -> None:
        """Start the process, which imports for seconds, before anything is asked of it."""
        self._started()

    def conditions(self) -> Conditions:
        self._expect_idle()
        self._started().send({"conditions": True})
        end = monotonic() + self._patience
        while True:
            message = self._started().receive(min(60.0, self._patience)) or {}
            if "conditions" in message:
                self._starts = 0
                return Conditions.from_json(message["conditions"])
            if error := message.get("refused") or message.get("failed"):
                raise UserError(error)
            if "died" in message:
                self._replace(message["died"])
                self._started().send({"conditions": True})
                end = monotonic() + self._patience
            elif monotonic() > end:
                self.close()
                raise UserError(f"the process that measures latencies {self._hung}")

    def submit(self, architectures: Sequence[Architecture], trained: Trained | None = None) -> None:
        self._expect_idle()
        self._records = [architecture_record(architecture) for architecture in architectures]
        self._windows, self._inputs = {}, 1
        if trained:
            self._windows = {"windows": str(trained.windows)}
            self._inputs = len(np.load(trained.windows, mmap_mode="r"))
        for record, weights in zip(
            self._records, trained.weights if trained else (), strict=bool(trained)
        ):
            record["weights"] = weights and str(weights)
        self._answers = [None] * len(self._records)
        self._rounds.append(list(range(len(self._records))))
        self._begin_round()

    def poll(self, seconds: float = 0.0) -> list[Latency | Failure] | None:
        while self._round and (message := self._started().receive(seconds)):
            self._take(message)
            seconds = 0.0
        if self._round and not self._begun and monotonic() - self._asked > self._patience:
            self._replace(self._hung)
            self._request()
        if self._since is not None and monotonic() - self._since > self._left:
            self._fail(f"timed out after {self._task.latency.timeout:g} s")
        if self._round:
            return None
        return [answer for answer in self._answers if answer is not None]

    def close(self) -> None:
        if self._child is not None:
            self._child.end()
            self._child = None
        self._rounds.clear()
        self._round, self._since = [], None

    @property
    def _patience(self) -> float:
        """Seconds after a request in which a process has to do anything, imports included."""
        return IMPORTS + self._task.latency.timeout

    @property
    def _hung(self) -> str:
        """What a process did that did nothing."""
        return (
            f"hung: it did nothing for {self._patience:g} s after its start (is a device or a file "
            "system blocked?)"
        )

    def _expect_idle(self) -> None:
        if self._round:
            raise RuntimeError("a set is under way; poll until it is measured")

    def _started(self) -> Child:
        if self._child is None:
            self._child = self._start(self._task)
        return self._child

    def _replace(self, death: str) -> None:
        """Make room for another process where one died of no network."""
        self._started().end()
        self._child, self._starts = None, self._starts + 1
        if self._starts == STARTS:
            self._starts = 0
            self.close()
            raise UserError(f"the process that measures latencies does not work: {death}")

    def _begin_round(self) -> None:
        self._begun, self._building, self._since = False, None, None
        self._round = self._rounds.popleft() if self._rounds else []
        if self._round:
            self._request()

    def _request(self) -> None:
        self._asked = monotonic()
        self._started().send({"measure": [self._records[n] for n in self._round], **self._windows})

    def _take(self, message: dict[str, Any]) -> None:
        """Go on by what the child tells."""
        timeout = self._task.latency.timeout
        match message:
            case {"stage": "build", "index": index, "at": at}:
                self._building, self._left, self._since = self._round[index], timeout, at
                self._begun, self._starts = True, 0
            case {"stage": "wait", "at": at} if self._since is not None:
                self._left -= at - self._since
                self._building, self._since = None, None
            case {"stage": "measure", "at": at}:
                self._left, self._since = (
                    self._left + timeout * (self._inputs * len(self._round) - 1),
                    at,
                )
            case {"latencies": latencies}:
                for n, latency in zip(self._round, latencies, strict=True):
                    self._answers[n] = Latency.from_json(latency)
                self._begin_round()
            case {"failed": reason}:
                self._fail(reason)
            case {"died": death} if self._begun:
                self._fail(death)
            case {"died": death}:
                self._replace(death)
                self._request()
            case {"refused": text}:
                self.close()
                raise UserError(text)

    def _fail(self, reason: str) -> None:
        """Blame the network being built, or the only one, or else look at each of them alone."""
        blamed = self._round if self._building is None else [self._building]
        rest = [n for n in self._round if n not in blamed]
        if len(blamed) == 1:
            self._answers[blamed[0]] = Failure(f"latency: {reason}")
            self._rounds.extendleft([rest] if rest else [])
        else:
            self._rounds.extendleft([n] for n in reversed(blamed))
        self._started().end()
        self._child = None
        self._begin_round()
