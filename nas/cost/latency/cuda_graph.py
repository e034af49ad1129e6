"""A pass of a network as one CUDA graph: its kernels are launched together, by one call."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from nas.cost.latency.errors import LatencyError
from trainers.errors import first_line
from trainers.step.cuda_graphs import WARM_UP, CudaGraphs


def captured(network: nn.Module, x: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
    """`network` for inputs of the shape and type of `x`, on its CUDA device.

    Input and logits are copied to and from the graph's memory, which is part of a pass. Raises
    LatencyError where a pass cannot be captured: it reads a value back to the host, to choose by it
    what it computes.
    """
    image, graphs, made = x.clone(), CudaGraphs(x.device), []
    with graphs.warm_up():
        for _ in range(WARM_UP):
            network(image)
    try:
        replay = graphs.capture(lambda: made.append(network(image)))
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        raise LatencyError(f"not to be captured as a CUDA graph: {first_line(error)}") from error
    (logits,) = made

    def forward(x: torch.Tensor) -> torch.Tensor:
        image.copy_(x)
        replay()
        return logits.clone()

    return forward
