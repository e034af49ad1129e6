"""Where the random numbers of a training are, for its checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch


def random_state(device: torch.device) -> dict[str, torch.Tensor]:
    """`random` of torch's generator for the CPU, and of a GPU `random_cuda`, from which dropout and
    other layers draw there. Augmentation has generators of its own."""
    state = {"random": torch.get_rng_state()}
    if device.type == "cuda":
        state["random_cuda"] = torch.cuda.get_rng_state(device)
    return state


def restore_random_state(state: Mapping[str, Any], device: torch.device) -> None:
    """Go on from a `random_state`, which another kind of device or version 0.1 may have made: the
    GPU's generator then stays where it is."""
    torch.set_rng_state(state["random"].cpu())
    if device.type == "cuda" and "random_cuda" in state:
        torch.cuda.set_rng_state(state["random_cuda"].cpu(), device)
