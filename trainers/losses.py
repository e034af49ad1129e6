"""The training loss."""

from __future__ import annotations

from monai.losses import DiceCELoss
from torch import nn


def segmentation_loss() -> nn.Module:
    """Dice over the foreground classes of the whole batch, plus cross-entropy over all classes.

    Called with logits (B, C_cls, D, H, W) and labels (B, 1, D, H, W).
    """
    return DiceCELoss(softmax=True, to_onehot_y=True, include_background=False, batch=True)
