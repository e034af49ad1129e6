"""Learning where a trained network's features lie, besides what it says."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn.functional import interpolate, normalize

from trainers.errors import UserError
from trainers.offers import decoder_stages, encoder_stages


class FeatureDistillation(nn.Module):
    """A term of the loss: `weight` times how far the attention maps are from the teacher's.

    The map of features (B, C, *S) is the mean of their squares over the channels, of length 1 over
    the voxels; two are as far as the squared distance of these (Zagoruyko 2017, Eq. 2), which asks
    for no common number of channels. The stages that both networks offer (`search_spaces.offers`)
    are compared, each of the student's with the one of the teacher's whose size is nearest, brought
    to the same size; the mean over them. It looks at the teacher's pass of a `Distillation` before
    it. Raises UserError where one of the networks offers no stage.
    """

    def __init__(self, student: nn.Module, teacher: nn.Module, weight: float) -> None:
        super().__init__()
        self.weight = weight
        self._ours, self._theirs = _watch(student, training=True), _watch(teacher, training=False)
        if not (self._ours and self._theirs):
            which = "student" if not self._ours else "teacher"
            raise UserError(
                f"train.distillation.features: the {which} offers no stages to compare; set it to 0"
            )

    def forward(
        self, loss: torch.Tensor, images: torch.Tensor, logits: torch.Tensor, labels: torch.Tensor
    ) -> torch.Tensor:
        ours, theirs = (_take(seen) for seen in (self._ours, self._theirs))
        gaps = [attention_gap(each, _nearest(each, theirs)) for each in ours]
        return loss + self.weight * torch.stack(gaps).mean()


def attention_gap(ours: torch.Tensor, theirs: torch.Tensor) -> torch.Tensor:
    """Features (B, C, *S) and (B, C', *S') -> scalar, 0 to 2: the squared distance of their
    attention maps, the mean over the batch."""
    a, b = (f.float().square().mean(1, keepdim=True) for f in (ours, theirs.detach()))
    if a.shape != b.shape:
        b = interpolate(b, a.shape[2:], mode="trilinear" if b.dim() == 5 else "bilinear")
    return (normalize(a.flatten(1)) - normalize(b.flatten(1))).square().sum(1).mean()


def _nearest(ours: torch.Tensor, theirs: Sequence[torch.Tensor]) -> torch.Tensor:
    """The first of `theirs` whose number of voxels is nearest by ratio."""
    voxels = ours[0, 0].numel()

    def ratio(other: torch.Tensor) -> float:
        there = other[0, 0].numel()
        return max(voxels / there, there / voxels)

    return min(theirs, key=ratio)


def _watch(network: nn.Module, training: bool) -> list[list[torch.Tensor]]:
    """For every stage a list into which its passes put their features, of that mode alone."""
    stages = [stage[-1] for stage in encoder_stages(network)]
    found = [m for m in stages if isinstance(m, nn.Module)]
    found += [module for module, _ in reversed(decoder_stages(network))]
    seen: list[list[torch.Tensor]] = []
    for module in found:
        seen.append([])
        module.register_forward_hook(partial(_note, seen[-1], training))
    return seen


def _note(
    seen: list[torch.Tensor], training: bool, stage: nn.Module, inputs: Any, output: Any
) -> None:
    """Keep the features of a stage that gives a map, or a map and more; tokens are left out."""
    first = output[0] if isinstance(output, tuple) else output
    if stage.training == training and first.dim() > 3:
        seen[:] = [first]


def _take(seen: Sequence[list[torch.Tensor]]) -> list[torch.Tensor]:
    taken = [features for each in seen for features in each]
    for each in seen:
        each.clear()
    return taken
