"""A prober of a device that gets an ONNX file of each network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread
from typing import Protocol

from nas.cost.devices.onnx_exporter import OnnxExporter
from nas.cost.failure import AwayError, Waiting, reason_of
from nas.cost.latency import Conditions
from nas.cost.latency_probe.prober import Outcome
from nas.cost.latency_probe.task import ProbeTask, Trained
from search_spaces.space import Architecture
from trainers.errors import UserError

GRACE = 2.0  # seconds


class FileDevice(Protocol):
    """Who takes an ONNX file to a device and brings figures back."""

    def conditions(self) -> Conditions:
        """What latencies will be measured under; waits for the answer.

        Raises AwayError where the device does not answer, another UserError where it never will.
        """

    def measure(self, file: Path, ended: Event) -> Outcome:
        """The latency of the network in `file`; waits for it, for as long as `ended` is not set.

        Raises AwayError where the device does not answer.
        """


class FileProber:
    """See `Prober`. A thread exports one network after the other and has the device measure it.

    They take no turns. Trained weights are in the files, windows stay here: in a file all queries
    are computed. Once the device is away, the rest of the set waits with it.
    """

    def __init__(
        self, task: ProbeTask, device: FileDevice, exporter: OnnxExporter | None = None
    ) -> None:
        self._exporter, self._device = exporter or OnnxExporter(task), device
        self._thread: Thread | None = None
        self._ended = Event()
        self._answers: list[Outcome] = []

    def conditions(self) -> Conditions:
        from nas.cost.latency.machine import check_onnx

        check_onnx()
        found = self._device.conditions()
        self._exporter.start()
        return found

    def submit(self, architectures: Sequence[Architecture], trained: Trained | None = None) -> None:
        if self._thread is not None:
            raise RuntimeError("a set is under way; poll until it is measured")
        weights = trained.weights if trained else [None] * len(architectures)
        self._ended, self._answers = Event(), []
        arguments = (list(zip(architectures, weights, strict=True)), self._ended, self._answers)
        self._thread = Thread(target=self._measure_all, args=arguments, daemon=True)
        self._thread.start()

    def poll(self, seconds: float = 0.0) -> list[Outcome] | None:
        if self._thread is not None:
            self._thread.join(seconds)
            if self._thread.is_alive():
                return None
            self._thread = None
        return self._answers

    def close(self) -> None:
        self._ended.set()
        if self._thread is not None:
            self._thread.join(GRACE)  # one that waits for an agent's answer ends by itself
            self._thread = None
        self._exporter.close()

    def _measure_all(
        self,
        networks: Sequence[tuple[Architecture, Path | None]],
        ended: Event,
        answers: list[Outcome],
    ) -> None:
        away: str | None = None
        with TemporaryDirectory(prefix="segnas-") as folder:
            file = Path(folder) / "network.onnx"
            for architecture, weights in networks:
                if away is None:
                    try:
                        answers.append(self._measure(architecture, weights, file, ended))
                        continue
                    except AwayError as error:
                        away = str(error)
                answers.append(Waiting(away))

    def _measure(
        self, architecture: Architecture, weights: Path | None, file: Path, ended: Event
    ) -> Outcome:
        """What comes of one network. Raises AwayError."""
        if ended.is_set():
            raise AwayError("ended")
        try:
            self._device.conditions()  # it is asked first: an export takes seconds
            failure = self._exporter.export(architecture, weights, file, ended)
            return failure or self._device.measure(file, ended)
        except AwayError:
            raise
        except UserError as error:
            return Waiting(str(error))
        except Exception as error:  # a full disk: the thread has to answer all the same
            return Waiting(reason_of(error))
