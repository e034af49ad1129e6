"""Networks as ONNX files, written by a process of their own."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from pathlib import Path
from threading import Event
from time import monotonic

from nas.cost.failure import Failure
from nas.cost.latency_probe.child_process import Child
from nas.cost.latency_probe.task import ProbeTask
from search_spaces.registry import architecture_record
from search_spaces.space import Architecture
from trainers.errors import UserError

LOOK = 0.2  # seconds between looks whether it is to end


class OnnxExporter:
    """The process is started when it is needed, and kept as long as nothing fails.

    It exports beside the trials, and holds the machine lock as they do, so that nothing is timed on
    this machine meanwhile.
    """

    def __init__(self, task: ProbeTask, start: Callable[[ProbeTask], Child] = Child) -> None:
        one_thread = task.latency.model_copy(update={"threads": 1})
        self._task = task.model_copy(update={"latency": one_thread})
        self._start = start
        self._child: Child | None = None

    def start(self) -> None:
        """Start the process, which imports for seconds, before anything is timed."""
        if self._child is None:
            self._child = self._start(self._task)

    def export(
        self, architecture: Architecture, weights: Path | None, file: Path, ended: Event
    ) -> Failure | None:
        """Write the network to `file`; what is wrong with it, where that is impossible.

        `ended`: set from another thread, it ends the waiting. Raises UserError where no network
        could be exported here.
        """
        record = architecture_record(architecture)
        record["weights"] = weights and str(weights)
        self.start()
        assert self._child is not None
        self._child.send({"export": record, "to": str(file)})
        timeout = self._task.latency.timeout
        begun, deadline = False, inf
        while not ended.is_set():
            if monotonic() > deadline:
                return self._failed(f"the export timed out after {timeout:g} s")
            match self._child.receive(LOOK):
                case None:
                    continue
                case {"stage": "wait"}:  # for a latency that is timed on this machine
                    begun, deadline = True, inf
                case {"stage": _, "at": at}:
                    begun, deadline = True, at + timeout
                case {"exported": _}:
                    return None
                case {"failed": reason}:
                    return self._failed(reason)
                case {"died": death} if not begun:
                    self.close()
                    raise UserError(f"the process that exports networks does not work: {death}")
                case {"died": death}:
                    return self._failed(death)
                case {"refused": text}:
                    self.close()
                    raise UserError(text)
        self.close()
        return Failure("ended")

    def close(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.end()

    def _failed(self, reason: str) -> Failure:
        self.close()
        return Failure(f"latency: {reason}")
