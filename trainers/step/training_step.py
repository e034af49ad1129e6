"""Which step a training takes: eager, or captured as CUDA graphs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from trainers.offers import uncapturable
from trainers.step.capture_mark import CaptureMark
from trainers.step.cuda_graphs import CudaGraphs
from trainers.step.eager import EagerStep
from trainers.step.graphed import GraphedStep


def training_step(
    eager: EagerStep, workers: int, mark: CaptureMark, on_eager: Callable[[str], object]
) -> EagerStep | GraphedStep:
    """One that captures the step `eager` of a GPU, or that step itself.

    `on_eager` is called with the reason where it is not captured, now or later. `workers`: the
    processes that train the network.
    """

    def tell(reason: str) -> None:
        on_eager(f"trained without CUDA graphs: {reason}")

    if reason := reason_against_graphs(eager, workers, mark):
        tell(reason)
        return eager
    return GraphedStep(eager, partial(CudaGraphs, eager.device), mark, tell)


def reason_against_graphs(eager: EagerStep, workers: int, mark: CaptureMark) -> str | None:
    """Why the step must not be captured; None where it may be tried."""
    if workers > 1:
        return "several workers average their gradients"
    if eager.optimizer.scales_loss:
        return "fp16 scales its loss anew in every step"
    if CudaGraphs.failed:
        return "a capture of this process failed before"
    return uncapturable(eager.one_pass) or mark.reason
