"""Training many networks that share their weights, an epoch at a time."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any, Generic, Protocol, TypeVar

import torch
from torch import nn

from trainers.checkpoint import load_weights
from trainers.config import TrainConfig
from trainers.data.cache import VolumeCache
from trainers.data.splits import Cases
from trainers.distillation import softened_divergence
from trainers.ema import weight_average
from trainers.errors import UserError
from trainers.freed_memory import keep_freed_memory
from trainers.inference import no_pause
from trainers.losses import segmentation_loss
from trainers.offers import begin_epoch, begin_training
from trainers.parallel import ALONE, Worker
from trainers.precision import autocast
from trainers.random_state import random_state, restore_random_state
from trainers.step import ScheduledOptimizer, draw_batches
from trainers.supernet_recipe import SupernetRecipe
from trainers.trainer import EpochReport, epoch_loss, save_checkpoint
from trainers.training_patches import training_patches
from trainers.validation import score_network

Point = TypeVar("Point")  # what names a network


class SharedWeights(Protocol[Point]):
    """Networks in one set of weights, as `search_spaces.supernet.Supernet` has them; a module."""

    def largest(self, like: Point | None = None) -> Point: ...
    def smallest(self, like: Point | None = None) -> Point: ...
    def auxiliary_losses(
        self, architecture: Point, target: torch.Tensor
    ) -> dict[str, torch.Tensor]: ...
    def cut(self, architecture: Point) -> nn.Module: ...
    def __call__(self, architecture: Point, x: torch.Tensor) -> torch.Tensor: ...
    def parameters(self) -> Iterator[nn.Parameter]: ...
    def state_dict(self) -> dict[str, Any]: ...


class SupernetTrainer(Generic[Point]):
    """Trains the networks of `supernet` together, each step some of them, by the `recipe`.

    A step has one batch, one pass a network and one update. `draw(rng)` names the networks of the
    step besides the largest and the smallest of the first one's kinds, or of the first option of
    every kind where it names none; `fit(architecture)` is the one to train in place of these two,
    such as the largest within a budget.

    `config`: as for one network, but that `deep_supervision` and `layer_decay` have no meaning here
    and raise UserError. `validate_every` validates the largest network and the smallest. With `ema`
    the averaged weights are validated and kept. `checkpoint`, `pause` and `on_unsaved` as in
    `Trainer`; a training that goes on from its checkpoint draws and trains what it would have.
    `worker`: which of several processes this is; all have the same seed, and draw the same networks
    and batches, of which each trains its part.
    """

    def __init__(
        self,
        supernet: SharedWeights[Point],
        draw: Callable[[random.Random], Sequence[Point]],
        cache: VolumeCache,
        cases: Cases,
        config: TrainConfig,
        *,
        device: torch.device,
        seed: int,
        checkpoint: Path | None = None,
        pause: Callable[[], None] = no_pause,
        on_unsaved: Callable[[OSError], object] | None = None,
        recipe: SupernetRecipe | None = None,
        fit: Callable[[Point], Point] = lambda point: point,
        worker: Worker = ALONE,
    ) -> None:
        if config.deep_supervision or config.layer_decay != 1:
            key = "deep_supervision" if config.deep_supervision else "layer_decay"
            raise UserError(f"train.{key} is for one network; leave it out where networks share")
        assert isinstance(supernet, nn.Module)
        keep_freed_memory()
        torch.manual_seed(seed)
        torch.backends.cudnn.deterministic = config.deterministic
        torch.backends.cudnn.benchmark = not config.deterministic
        self.supernet: Any = supernet.to(device)
        begin_training(self.supernet, config.epochs)
        self.config, self.device, self.checkpoint = config, device, checkpoint
        self.recipe = recipe or SupernetRecipe()
        self._draw, self._fit, self._pause, self._on_unsaved = draw, fit, pause, on_unsaved
        self._rng = random.Random(seed)
        self._seed, self._worker = seed, worker
        self._cache, self._cases = cache, cases
        self._sampler = training_patches(cache, cases.train, config, seed)
        self._loss = segmentation_loss(config.loss, cache.targets)
        self._autocast = partial(autocast, config, device)
        self._average = weight_average(self.supernet, config.ema) if config.ema else None
        self._parameters = list(self.supernet.parameters())
        self._optimizer = ScheduledOptimizer(self._parameters, config, device)
        self.curve: list[float] = []
        self.epoch = 0
        if checkpoint is not None and checkpoint.exists():
            self._load_training(load_weights(self.deployed, checkpoint).get("training"))

    @property
    def deployed(self) -> Any:
        """The weights that are validated and kept: the supernet's, or their average."""
        return self.supernet if self._average is None else self._average.module

    @property
    def done(self) -> bool:
        """Whether all epochs are trained."""
        return self.epoch >= self.config.epochs

    @property
    def alone(self) -> bool:
        """Whether the epoch to come trains the largest network alone."""
        return self.epoch < int(self.recipe.first * self.config.epochs)

    def run_epoch(self) -> EpochReport:
        """Train one epoch, validate the largest and the smallest where due, save the checkpoint.

        The report's Dice is the largest's; `measured` has `dice_smallest`. Raises
        TrainingDivergedError as `Trainer` does; the checkpoint is then that of the epoch before.
        """
        started = perf_counter()
        self.supernet.train()
        begin_epoch(self.supernet, self.epoch)
        self._worker.begin_epoch(self._seed, self.epoch)
        read = partial(self._sampler.read, part=self._worker.part(self.config.batch))
        steps = self.config.steps_per_epoch
        batches = draw_batches(self._sampler.draw, read, steps, self.device)
        with closing(batches):
            losses = [self._step(images, labels) for images, labels in batches]
        loss = epoch_loss(losses, self.supernet, self._worker, self.epoch + 1)
        self.epoch += 1
        dice: float | None = None
        per_class: dict[str, float] = {}
        measured: dict[str, float] = {}
        due = self.done or self.epoch % self.config.validate_every == 0
        if due and self._cases.validation and self._worker.first:
            dice, per_class = self.score(self._fit(self.supernet.largest()))
            measured["dice_smallest"], _ = self.score(self._fit(self.supernet.smallest()))
            self.curve.append(dice)
        self.save()
        return EpochReport(self.epoch, loss, dice, per_class, perf_counter() - started, measured)

    def score(
        self, architecture: Point, names: Sequence[str] | None = None
    ) -> tuple[float, dict[str, float]]:
        """Mean foreground Dice of a network by the shared weights, and that of every class.

        `names`: of the cases; all validation cases where None. Raises TrainingDivergedError where
        logits are not finite.
        """
        names = self._cases.validation if names is None else names
        return score_network(
            self.deployed.cut(architecture),
            self._cache,
            names,
            self.config,
            self._autocast,
            self._pause,
        )

    def save(self) -> None:
        """Write the checkpoint, if there is to be one; see `Trainer.save`."""
        if self.checkpoint is not None and self._worker.first:
            save_checkpoint(self.checkpoint, self._state(), self._on_unsaved)

    def _step(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """One update; the mean loss of the step's networks."""
        self._optimizer.begin_step()
        self._optimizer.drop_gradients()
        images, labels = (t.to(self.device, non_blocking=True) for t in (images, labels))
        drawn = self._draw(self._rng)
        like = drawn[0] if drawn else None  # none is drawn where the recipe's `random` is 0
        largest = self._fit(self.supernet.largest(like))
        smallest = self._fit(self.supernet.smallest(like))
        others = [] if self.alone else [*drawn, smallest]
        share = 1 / (1 + len(others))
        total, taught = self._pass(largest, images, labels, None, share)
        of_largest = self._take_gradients() if self.recipe.surgery else []
        for architecture in others:
            loss, _ = self._pass(architecture, images, labels, taught, share)
            total = total + loss
        self._worker.average(self._parameters)
        if of_largest:
            add_without_conflict(self._parameters, of_largest)
        self._optimizer.update()
        if self._average is not None:
            self._average.update_parameters(self.supernet)
        return total

    def _pass(
        self,
        architecture: Point,
        images: torch.Tensor,
        labels: torch.Tensor,
        taught: torch.Tensor | None,
        share: float,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Forward and backward of one network: its share of the loss, and its logits, detached."""
        self._pause()
        with self._autocast():
            logits = self.supernet(architecture, images)
        logits = logits.float()
        weight = 0.0 if taught is None else self.recipe.teacher
        loss = (1 - weight) * self._loss(logits, labels) if weight < 1 else logits.new_zeros(())
        if taught is not None and weight:
            targets = self._cache.targets
            soft = softened_divergence(logits, taught, self.recipe.temperature, targets, labels)
            loss = loss + weight * soft
        told = self._cache.targets.told(labels)
        for term in self.supernet.auxiliary_losses(architecture, told).values():
            loss = loss + term
        loss = share * loss
        self._optimizer.backward(loss)
        return loss.detach(), logits.detach()

    def _take_gradients(self) -> list[torch.Tensor | None]:
        self._worker.average(self._parameters)
        gradients = [parameter.grad for parameter in self._parameters]
        self._optimizer.drop_gradients()
        return gradients

    def _state(self) -> dict[str, Any]:
        training = {
            "epoch": self.epoch,
            "curve": self.curve,
            **self._optimizer.state(),
            "sampler": self._sampler.state(),
            "draws": self._rng.getstate(),
            **random_state(self.device),
        }
        if self._average is not None:
            training["network"] = self.supernet.state_dict()
            training["averaged"] = int(self._average.n_averaged)
        return {"weights": self.deployed.state_dict(), "training": training}

    def _load_training(self, training: Mapping[str, Any] | None) -> None:
        if training is None:
            raise UserError(
                f"{self.checkpoint} holds weights only, of a training "
                "that has ended; remove it to train anew"
            )
        self.epoch, self.curve = training["epoch"], list(training["curve"])
        self._optimizer.load_state(training)
        self._sampler.load_state(training["sampler"])
        version, numbers, gauss = training["draws"]
        self._rng.setstate((version, tuple(numbers), gauss))
        restore_random_state(training, self.device)
        if self._average is not None:
            self.supernet.load_state_dict(training["network"])
            self._average.n_averaged.fill_(training["averaged"])


def add_without_conflict(
    parameters: Sequence[nn.Parameter], gradients: Sequence[torch.Tensor | None]
) -> None:
    """Add `gradients` to those of the parameters, without what in them opposes these.

    Where the angle between the two is obtuse, the former is projected onto the plane that is
    orthogonal to the latter (PCGrad, Yu 2020, Eq. 1; one-sided, and for each parameter by itself,
    as the code of NASViT does: all parameters together hardly ever oppose).
    """
    for parameter, gradient in zip(parameters, gradients, strict=True):
        own = parameter.grad
        if own is None:
            parameter.grad = gradient
        elif gradient is not None:
            opposed = (own * gradient).sum() / own.square().sum().clamp_min(1e-30)
            own.mul_(1 - opposed.clamp(max=0)).add_(gradient)
