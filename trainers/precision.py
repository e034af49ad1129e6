"""The number format that a training computes in."""

from __future__ import annotations

import torch

from trainers.config import TrainConfig


def compute_type(config: TrainConfig, device: torch.device) -> torch.dtype:
    """The number format of this training's forward passes on that device."""
    named = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
    return named[config.precision_on(device.type)]


def autocast(config: TrainConfig, device: torch.device) -> torch.autocast:
    """The context of such a pass; it changes nothing where the format is float32."""
    kind = compute_type(config, device)
    return torch.autocast(device.type, kind, enabled=kind != torch.float32)
