"""Several processes that train one network together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from trainers.errors import UserError


def _alone(module: nn.Module) -> nn.Module:
    return module


@dataclass(frozen=True)
class Worker:
    """One of `count` processes; each trains on its part of every batch, rank 0 validates and saves.

    `wrap`: given the `TrainingPass`, returns a module that does the same and averages its gradients
    over the processes, such as `DistributedDataParallel`.
    """

    rank: int = 0
    count: int = 1
    wrap: Callable[[nn.Module], nn.Module] = _alone

    @property
    def first(self) -> bool:
        """Whether this is the process that validates and saves."""
        return self.rank == 0

    def part(self, batch: int) -> slice:
        """The patches of a batch of that size that this process trains on.

        Raises UserError where the processes would get different numbers of patches: gradients are
        averaged over the processes, not over the patches.
        """
        size, rest = divmod(batch, self.count)
        if rest or not size:
            raise UserError(
                f"train.batch = {batch} cannot be shared among {self.count} workers; expected a "
                f"multiple of {self.count}: set train.batch or --workers"
            )
        return slice(self.rank * size, (self.rank + 1) * size)

    def wrapped(self, module: nn.Module) -> nn.Module:
        """`wrap(module)`, where gradients of what is trained later are averaged, too.

        DistributedDataParallel knows those parameters alone that are trained when it is made.
        """
        trained = {parameter: parameter.requires_grad for parameter in module.parameters()}
        wrapped = self.wrap(module.requires_grad_(True))
        for parameter, now in trained.items():
            parameter.requires_grad_(now)
        return wrapped

    def mean(self, value: torch.Tensor) -> torch.Tensor:
        """The mean of a scalar over the processes; each of them must call it."""
        if self.count > 1:
            torch.distributed.all_reduce(value)
            value /= self.count
        return value

    def average(self, parameters: Sequence[nn.Parameter]) -> None:
        """Make the gradients the mean over the processes; each of them must call it.

        Where a process has none, it counts as zero: what is pruned differs by patch.
        """
        if self.count == 1:
            return
        has = torch.tensor([float(p.grad is not None) for p in parameters])
        has = has.to(parameters[0].device)
        torch.distributed.all_reduce(has)
        learnt = [p for p, processes in zip(parameters, has.tolist(), strict=True) if processes]
        if not learnt:
            return
        own = [torch.zeros_like(p) if p.grad is None else p.grad for p in learnt]
        together = torch.cat([gradient.flatten() for gradient in own])
        torch.distributed.all_reduce(together)
        parts = (together / self.count).split([p.numel() for p in learnt])
        for parameter, mean in zip(learnt, parts, strict=True):
            parameter.grad = mean.view_as(parameter)

    def begin_epoch(self, seed: int, epoch: int) -> None:
        """Give ranks above 0 random numbers of their own; they depend on seed and epoch alone."""
        if self.rank:
            own = (seed * 1_000_003 + epoch) * 1_000_003 + self.rank
            if own >= 2**64:  # more than torch takes
                mixed = np.random.SeedSequence([seed, epoch, self.rank])
                own = int(mixed.generate_state(1, np.uint64)[0])
            torch.manual_seed(own)


ALONE = Worker()
