"""A trained network that segments image files as they are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from trainers.data.config import Preprocess
from trainers.data.preprocess import Spacing3, prepare_image, restore
from trainers.errors import UserError
from trainers.inference import predict_logits


@dataclass(frozen=True, kw_only=True)
class Segmenter:
    """`network` (eval mode, on its device) with the preprocessing it was trained under.

    `spacing` in mm, None where every volume keeps its own; `patch` and `overlap` are those of the
    sliding window; `classes[0]` is the background.
    """

    network: nn.Module
    preprocess: Preprocess
    spacing: Spacing3 | None
    channels: int
    classes: tuple[str, ...]
    patch: tuple[int, int, int]
    overlap: float

    def segment(self, image: Path) -> np.ndarray:
        """The labels of one NIfTI image, uint8, in the file's own shape.

        Raises UserError where the file has other channels than the network expects.
        """
        prepared = prepare_image(image, self.preprocess, self.spacing)
        if (found := prepared.image.shape[0]) != self.channels:
            raise UserError(f"{image} has {found} channels; the network expects {self.channels}")
        logits = predict_logits(self.network, prepared.image, self.patch, self.overlap)
        return restore(logits.cpu().numpy(), prepared)


def best_device() -> torch.device:
    """The GPU where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
