"""Learning from a trained network's probabilities besides the labels."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import torch
from torch import nn
from torch.nn.functional import kl_div

from trainers.config import DistillationConfig
from trainers.narrow_weights import forward_narrow
from trainers.offers import uncapturable
from trainers.volumes.targets import Targets


class Distillation(nn.Module):
    """A term of the loss: (1 - weight) * loss + weight * T^2 * KL(teacher || student).

    Both distributions are softmaxes of logits over the temperature T, of regions a sigmoid each; KL
    is the mean over the voxels and patches that count. T^2 keeps the gradients' size the same for
    every T (Hinton 2015, Sec. 2). The teacher stays in eval mode, and is neither trained nor saved.
    `targets`: what the logits stand for.
    """

    def __init__(
        self,
        teacher: nn.Module,
        config: DistillationConfig,
        autocast: Callable[[], AbstractContextManager[object]],
        targets: Targets | None = None,
    ) -> None:
        super().__init__()
        self._targets = targets
        self._teacher = (teacher.eval(),)  # a tuple hides it from `parameters` and `train`
        self._config, self._autocast = config, autocast

    @property
    def capturable(self) -> bool:
        """Whether the teacher's passes can be part of a CUDA graph."""
        return uncapturable(self._teacher[0]) is None

    def forward(
        self, loss: torch.Tensor, images: torch.Tensor, logits: torch.Tensor, labels: torch.Tensor
    ) -> torch.Tensor:
        with torch.no_grad(), self._autocast():
            taught = forward_narrow(self._teacher[0], images).float()
        soft = softened_divergence(logits, taught, self._config.temperature, self._targets, labels)
        weight = self._config.weight
        return (1 - weight) * loss + weight * soft


def softened_divergence(
    student: torch.Tensor,
    teacher: torch.Tensor,
    temperature: float,
    targets: Targets | None = None,
    labels: torch.Tensor | None = None,
) -> torch.Tensor:
    """T^2 * KL(teacher || student) of softmaxes at temperature T, the mean over voxels.

    student, teacher: logits (B, C_cls, *S) -> scalar, 0 where the distributions are equal. With
    regions it is the sum over them of the divergence of inside and outside. labels: (B, 1, *S), for
    the voxels to be ignored.
    """
    if targets is not None and targets.regions:  # a sigmoid is the softmax of a logit beside 0
        student, teacher = (torch.stack([z, torch.zeros_like(z)], 1) for z in (student, teacher))
    log_student = (student / temperature).log_softmax(1)
    log_teacher = (teacher / temperature).log_softmax(1)
    each = kl_div(log_student, log_teacher, reduction="none", log_target=True).sum(1)
    if targets is None or targets.plain:
        return temperature**2 * each.mean()
    if targets.regions:
        each = each.sum(1)
    assert labels is not None, "they tell what is ignored"
    counted = targets.counted(labels)[:, 0].to(each)  # (B, *S)
    return temperature**2 * (each * counted).sum() / counted.sum().clamp(min=1)
