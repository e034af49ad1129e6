"""Checkpoint files: written whole or not at all, read without unpickling code."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from trainers.atomic import replace_files
from trainers.errors import UserError


def write_checkpoint(path: Path, state: Mapping[str, Any]) -> None:
    """Write `state` so that a reader finds either the old file or the new one.

    Raises OSError, and leaves the old file and nothing else, where it cannot be written.
    """
    content = serialised(state)  # torch.save to a full disk raises a RuntimeError without a cause
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_files({path: content})


def serialised(state: Mapping[str, Any]) -> bytes:
    """The content of a checkpoint file."""
    content = io.BytesIO()
    torch.save(state, content)
    return content.getvalue()


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The state that `write_checkpoint` wrote, on the CPU.

    Raises UserError for any other file, OSError and MemoryError where that cannot be told: a server
    that does not answer makes no file damaged.
    """
    if not path.is_file():
        raise UserError(f"{path} is missing; expected a checkpoint")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, MemoryError):
        raise
    except Exception as error:  # torch raises a dozen kinds for a file that is no checkpoint
        raise UserError(
            f"{path} is no checkpoint that can be read safely: it is damaged, or holds more than "
            "weights and plain values; make it again"
        ) from error
    if not isinstance(state, dict) or "weights" not in state:
        raise UserError(f"{path} is no segnas checkpoint: it has no `weights`")
    return state


def load_weights(network: nn.Module, path: Path) -> dict[str, Any]:
    """Load the file's weights into `network`, and return all that the file holds.

    Raises UserError where they do not fit.
    """
    state = read_checkpoint(path)
    try:
        network.load_state_dict(state["weights"])
    except RuntimeError as error:
        raise UserError(
            f"{path} holds another network's weights; expected those of this architecture "
            f"({_mismatch(error)})"
        ) from error
    return state


def _mismatch(error: RuntimeError) -> str:
    """The first of the differences that torch lists, shortened: there may be hundreds."""
    lines = [line.strip() for line in str(error).splitlines()]
    first = lines[1] if len(lines) > 1 else lines[0]
    return first if len(first) <= 120 else f"{first[:119]}…"


def keep_weights_only(path: Path) -> None:
    """Shrink a finished training's checkpoint to its weights, if there is more in it."""
    state = read_checkpoint(path)
    if state.keys() != {"weights"}:
        write_checkpoint(path, {"weights": state["weights"]})


def weights_of(path: Path) -> bytes:
    """The content of a checkpoint file that holds this one's weights and nothing else."""
    return serialised({"weights": read_checkpoint(path)["weights"]})
