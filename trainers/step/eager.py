"""A training step, one kernel after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import nn

from trainers.inference import no_pause
from trainers.step.optimizer import ScheduledOptimizer

Batch = tuple[torch.Tensor, torch.Tensor]


@dataclass(eq=False, kw_only=True)
class EagerStep:
    """One optimiser step: forward and backward passes of the parts of a batch, then the update.

    Called with images (B, C, *patch) and labels (B, 1, *patch) on the host, it returns the mean
    loss, a scalar on the device. Nothing is read back.

    `one_pass`: (images, labels) -> loss, such as `TrainingPass`. `accumulate`: the parts, whose
    gradients are averaged. `pause` is called before each of them. `layout`: that of the images.
    """

    one_pass: nn.Module
    optimizer: ScheduledOptimizer
    device: torch.device
    accumulate: int = 1
    pause: Callable[[], None] = no_pause
    layout: torch.memory_format = torch.channels_last_3d

    def __call__(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        self.optimizer.begin_step()
        return self.run(images, labels)

    def run(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """The step at the learning rate that is set."""
        total = torch.zeros((), device=self.device)
        for number, part in enumerate(self.parts(images, labels)):
            self.pause()
            self.run_pass(number == 0, part, len(images), total)
        self.optimizer.update()
        return total

    def parts(self, images: torch.Tensor, labels: torch.Tensor) -> Iterator[Batch]:
        """The batch, cut into that of each pass."""
        cut = (t.tensor_split(self.accumulate) for t in (images, labels))
        return zip(*cut, strict=True)

    def run_pass(self, first: bool, part: Batch, whole: int, total: torch.Tensor) -> None:
        """Forward and backward of one part of a batch of `whole` patches.

        The gradients are added to those of the step's passes before; the `first` one begins them.
        `total`: the scalar that the part's share of the loss is added to.
        """
        images, labels = (t.to(self.device, non_blocking=True) for t in part)
        share = len(images) / whole
        loss = share * self.one_pass(images.contiguous(memory_format=self.layout), labels)
        if first:
            self.optimizer.drop_gradients()
        self.optimizer.backward(loss)
        total += loss.detach()

    def forget(self) -> None:
        """Nothing is kept of one step for the next."""

    def make_room(self) -> None:
        """Nothing is kept of one step for the next."""
