"""A training step that a GPU repeats as CUDA graphs: the host launches them, not each kernel."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Protocol

import torch

from trainers.errors import GpuLostError, first_line
from trainers.step.capture_mark import CaptureMark
from trainers.step.cuda_graphs import WARM_UP
from trainers.step.eager import EagerStep


class Graphs(Protocol):
    """What captures work; see `CudaGraphs`."""

    def warm_up(self) -> AbstractContextManager[object]: ...
    def capture(self, work: Callable[[], object]) -> Callable[[], None]: ...
    def copy(self, pairs: list[tuple[torch.Tensor, torch.Tensor]]) -> None: ...
    def check(self) -> None: ...
    def scarce(self) -> bool: ...


class GraphedStep:
    """An `EagerStep` that is captured after `WARM_UP` steps, and replayed from then on.

    Each pass of a step is one graph, with the labels and images in tensors that stay where they
    are; the update is another. Batches are drawn, paused before, and their learning rates set
    outside of them. All batches must have one shape.

    `graphs()` makes what captures. Where a capture fails, `on_eager` is called with the reason, and
    all further steps are eager. `mark` is there while a capture is tried, and stays where it fails.
    Raises GpuLostError where the failure leaves a GPU that this process cannot use any more.
    """

    def __init__(
        self,
        eager: EagerStep,
        graphs: Callable[[], Graphs],
        mark: CaptureMark,
        on_eager: Callable[[str], object],
    ) -> None:
        self._eager, self._make, self._mark, self._on_eager = eager, graphs, mark, on_eager
        self._graphs: Graphs | None = graphs()
        self._captured: _Captured | None = None
        self._warm = 0

    def __call__(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        self._eager.optimizer.begin_step()
        if self._captured is not None:
            return self._captured.replay(images, labels)
        if self._graphs is None:
            return self._eager.run(images, labels)
        if self._warm == WARM_UP:
            return self._capture(self._graphs, images, labels)
        self._warm += 1
        with self._graphs.warm_up():
            return self._eager.run(images, labels)

    def forget(self) -> None:
        """Free the graphs. The next steps warm up, and are captured anew: for a network that has
        changed, such as by other parameters that are trained."""
        self._warm = 0
        if self._captured is not None:
            self._captured = None
            self._eager.optimizer.drop_gradients()  # which are in the graphs' memory
            self._graphs = self._make()

    def make_room(self) -> None:
        """Free the graphs where their memory may be wanted by what comes before the next step."""
        if self._captured is not None and self._captured.graphs.scarce():
            self.forget()

    def _capture(self, graphs: Graphs, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Capture a step and replay it, or do it eagerly."""
        self._mark.write("the process ended while a step was captured")
        captured, reason = None, ""
        try:
            captured = _Captured(self._eager, graphs, images, labels)
        except Exception as error:
            reason = f"a step could not be captured: {first_line(error)}"
        if captured is None:  # only here the error's frames hold no tensors and graphs any more
            self._mark.write(reason)
            self._graphs = None
            self._eager.optimizer.drop_gradients()
            _check(graphs, reason)
            self._on_eager(reason)
            return self._eager.run(images, labels)
        loss = captured.replay(images, labels)
        _check(graphs, "a captured step could not be replayed")
        self._captured = captured
        self._mark.clear()
        return loss


class _Captured:
    """The graphs of a step, and the tensors that they read and write."""

    def __init__(
        self, eager: EagerStep, graphs: Graphs, images: torch.Tensor, labels: torch.Tensor
    ) -> None:
        self.graphs, self._pause = graphs, eager.pause
        device = eager.device
        images = images.contiguous(memory_format=eager.layout)  # strides as in an eager step
        self._images = torch.empty_like(images, device=device)
        self._labels = torch.empty_like(labels, device=device)
        self._total = torch.zeros((), device=device)
        self._passes = []
        for number, part in enumerate(eager.parts(self._images, self._labels)):
            work = partial(eager.run_pass, number == 0, part, len(images), self._total)
            self._passes.append(graphs.capture(work))
        self._update = graphs.capture(eager.optimizer.update)

    def replay(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """The step on that batch; its loss."""
        self._total.zero_()
        self.graphs.copy([(self._images, images), (self._labels, labels)])
        for run_pass in self._passes:
            self._pause()
            run_pass()
        self._update()
        return self._total.clone()


def _check(graphs: Graphs, reason: str) -> None:
    try:
        graphs.check()
    except Exception as error:
        raise GpuLostError(
            f"{reason}, and this process cannot use its GPU any more ({first_line(error)}); begin "
            "again: what is saved is gone on from, without CUDA graphs"
        ) from error
