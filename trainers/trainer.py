"""Training one network, an epoch at a time, so that a search can watch and a crash loses little."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from torch import nn

from trainers.checkpoint import load_weights, write_checkpoint
from trainers.config import TrainConfig
from trainers.data.cache import VolumeCache
from trainers.data.splits import Cases
from trainers.deep_supervision import deep_supervision
from trainers.ema import weight_average
from trainers.errors import TrainingDivergedError, UserError
from trainers.freed_memory import keep_freed_memory
from trainers.inference import no_pause
from trainers.losses import segmentation_loss
from trainers.offers import begin_epoch, begin_training, pop_network_metrics
from trainers.parallel import ALONE, Worker
from trainers.precision import autocast
from trainers.random_state import random_state, restore_random_state
from trainers.single_image import onednn_for_single_images
from trainers.step import (
    CaptureMark,
    EagerStep,
    GraphedStep,
    ScheduledOptimizer,
    channels_last,
    choose_layout,
    draw_batches,
    layer_scales,
    training_step,
)
from trainers.timed_pause import TimedPause
from trainers.training_pass import TrainingPass
from trainers.training_patches import training_patches
from trainers.validation import score_network


@dataclass(frozen=True)
class EpochReport:
    """One epoch: its mean training loss, its wall seconds, and where it validated, Dice.

    `measured`: the network's own metrics in validation; see `pop_network_metrics`.
    """

    epoch: int
    loss: float
    dice: float | None
    dice_per_class: Mapping[str, float]
    seconds: float
    measured: Mapping[str, float] = field(default_factory=dict)


class Trainer:
    """Trains `network` on the training cases and validates it on the validation cases, if any.

    The same seed on the same machine gives the same losses, unless `config.deterministic` is off.

    `checkpoint`: where this file exists, training goes on from it; every epoch rewrites it.
    `on_unsaved`: called with the OSError where it cannot be written; the old one stays and training
    goes on. Without `on_unsaved` the OSError is raised. `on_eager`: called with the reason where
    steps on CUDA are not captured as graphs, though the configuration has them so.

    `pause`: called before every pass of training or validation. It may block, to make way for
    something else, which thus waits for one pass at most. `earlier`: the seconds of training and
    validation behind the checkpoint that training goes on from, without such waits.

    `accumulate`: the number of passes in which a batch is trained, each of fewer patches and so of
    less memory; their gradients are averaged. It is the same step as one pass where the loss is a
    mean over patches. It is another one for the Dice of the whole batch (it becomes the mean of the
    passes' Dice), for class weights counted in a batch, and for batch norm. A checkpoint that was
    made with more passes goes on with as many. The parts of several workers are such passes, too;
    their seeds must be the same, since each draws the whole batch and trains its part.

    `terms`: modules that change the loss, see `TrainingPass`; their parameters are trained with the
    network's, and are not saved for use. `worker`: this process among several. With `config.ema`
    the averaged weights are validated and saved for use; the others are in the checkpoint's part
    for training. The heads of `config.deep_supervision` are new ones, and are in that part alone; a
    network without stages for them is trained without.
    """

    def __init__(
        self,
        network: nn.Module,
        cache: VolumeCache,
        cases: Cases,
        config: TrainConfig,
        *,
        device: torch.device,
        seed: int,
        checkpoint: Path | None = None,
        pause: Callable[[], None] = no_pause,
        accumulate: int = 1,
        on_unsaved: Callable[[OSError], object] | None = None,
        on_eager: Callable[[str], object] = warnings.warn,
        terms: Sequence[nn.Module] = (),
        worker: Worker = ALONE,
    ) -> None:
        self._worker, self._part = worker, worker.part(config.batch)
        own = self._part.stop - self._part.start
        if not 1 <= accumulate <= own:
            raise ValueError(f"accumulate = {accumulate}; expected 1 to the batch, {own}")
        keep_freed_memory()
        loss = segmentation_loss(config.loss, cache.targets)
        torch.manual_seed(seed)
        if config.deep_supervision:
            outputs = cache.targets.outputs
            terms = [*deep_supervision(network.to(device), outputs, loss), *terms]
        torch.backends.cudnn.deterministic = config.deterministic
        torch.backends.cudnn.benchmark = not config.deterministic
        self.network = channels_last(network.to(device))
        begin_training(self.network, config.epochs)
        self.config, self.device, self.checkpoint = config, device, checkpoint
        self._seed = seed
        self.accumulate = accumulate
        self._cache, self._cases, self._pause = cache, cases, TimedPause(pause)
        self._on_unsaved = on_unsaved
        self._sampler = training_patches(cache, cases.train, config, seed)
        self._autocast = partial(autocast, config, device)
        one_pass = TrainingPass(self.network, loss, terms, self._autocast, cache.targets)
        self._terms = one_pass.terms
        layout, on_cuda = torch.channels_last_3d, device.type == "cuda"
        if on_cuda and self._worker.count == 1 and not config.deterministic:
            shape = own // accumulate, cache.channels, *config.patch
            layout = choose_layout(one_pass, shape, device)
        self._average = weight_average(network, config.ema) if config.ema else None
        self._optimizer = ScheduledOptimizer(
            one_pass.parameters(), config, device, layer_scales(self.network, config.layer_decay)
        )
        self.curve: list[float] = []
        self.epoch = 0
        self.earlier = 0.0
        self._seconds = 0.0  # of the epochs that this process trained
        if checkpoint is not None and checkpoint.exists():
            self._load_training(load_weights(self.deployed, checkpoint).get("training"))
        self._mark = CaptureMark.beside(checkpoint)
        step = EagerStep(
            one_pass=self._worker.wrapped(one_pass),
            optimizer=self._optimizer,
            device=device,
            accumulate=self.accumulate,
            pause=self._pause,
            layout=layout,
        )
        self._step: EagerStep | GraphedStep = step
        if on_cuda and config.graphs:
            self._step = training_step(step, self._worker.count, self._mark, on_eager)

    @property
    def deployed(self) -> nn.Module:
        """The network that is validated and saved for use: `network`, or its average."""
        return self.network if self._average is None else self._average.module

    @property
    def done(self) -> bool:
        """Whether all epochs are trained."""
        return self.epoch >= self.config.epochs

    def run_epoch(self) -> EpochReport:
        """Train one epoch, validate where it is due, save the checkpoint.

        Raises TrainingDivergedError where the loss, a weight or a segmentation is not finite; the
        checkpoint is then still that of the epoch before.
        """
        started, waited = perf_counter(), self._pause.seconds
        self.network.train()
        if begin_epoch(self.network, self.epoch):
            self._step.forget()
        if self._average is not None:
            begin_epoch(self.deployed, self.epoch)
        self._worker.begin_epoch(self._seed, self.epoch)
        sampler, steps = self._sampler, self.config.steps_per_epoch
        read = partial(sampler.read, part=self._part)
        batches = draw_batches(sampler.draw, read, steps, self.device)
        with closing(batches), onednn_for_single_images(self.network):
            losses = [self._train(*batch) for batch in batches]
        loss = epoch_loss(losses, self.network, self._worker, self.epoch + 1)
        self.epoch += 1
        dice: float | None = None
        per_class: dict[str, float] = {}
        measured: dict[str, float] = {}
        due = self.done or self.epoch % self.config.validate_every == 0
        if due and self._cases.validation and self._worker.first:
            self._step.make_room()
            dice, per_class = self.validate()
            measured = pop_network_metrics(self.deployed)
            self.curve.append(dice)
        self._seconds += perf_counter() - started - (self._pause.seconds - waited)
        self.save()
        if self.done:
            self._mark.clear()
        seconds = perf_counter() - started
        return EpochReport(self.epoch, loss, dice, per_class, seconds, measured)

    def save(self) -> None:
        """Write the checkpoint, if there is to be one. See `on_unsaved` for a disk that is full."""
        if self.checkpoint is not None and self._worker.first:
            save_checkpoint(self.checkpoint, self._state(), self._on_unsaved)

    def validate(self) -> tuple[float, dict[str, float]]:
        """Mean foreground Dice over the validation cases, and the mean of every class or region.

        `pop_network_metrics` has the network's own metrics of it afterwards. Raises
        TrainingDivergedError where logits are not finite.
        """
        pop_network_metrics(self.deployed)  # of passes before these
        return score_network(
            self.deployed,
            self._cache,
            self._cases.validation,
            self.config,
            self._autocast,
            self._pause,
        )

    def _train(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        loss = self._step(images, labels)
        if self._average is not None:
            self._average.update_parameters(self.network)
        return loss

    def _state(self) -> dict[str, Any]:
        training = {
            "epoch": self.epoch,
            "curve": self.curve,
            **self._optimizer.state(),
            "sampler": self._sampler.state(),
            **random_state(self.device),
            "accumulate": self.accumulate,
            "seconds": self.earlier + self._seconds,
        }
        if self._average is not None:
            training["network"] = self.network.state_dict()
            training["averaged"] = int(self._average.n_averaged)
        if self._terms:
            training["terms"] = self._terms.state_dict()
        if buffers := passing_buffers(self.network):
            training["buffers"] = buffers
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
        restore_random_state(training, self.device)
        self.accumulate = max(self.accumulate, training.get("accumulate", 1))
        self.earlier = training.get("seconds", 0.0)
        if self._average is not None:
            self.network.load_state_dict(training["network"])
            self._average.n_averaged.fill_(training["averaged"])
        if self._terms:
            self._terms.load_state_dict(training["terms"])
        for network in {self.network, self.deployed}:
            for name, buffer in passing_buffers(network).items():
                if name in training.get("buffers", {}):
                    buffer.copy_(training["buffers"][name])


def epoch_loss(
    losses: Sequence[torch.Tensor], network: nn.Module, worker: Worker, epoch: int
) -> float:
    """The mean of an epoch's losses, over all processes.

    Raises TrainingDivergedError where it is not finite, or a weight of the network: the loss of an
    epoch's last step is finite also where that step itself broke them.
    """
    loss = float(worker.mean(torch.stack(list(losses)).mean()))
    if not math.isfinite(loss):
        raise TrainingDivergedError(f"the loss is {loss} in epoch {epoch}")
    finite = [parameter.isfinite().all() for parameter in network.parameters()]
    if not torch.stack(finite).all():
        raise TrainingDivergedError(f"a weight is not finite after epoch {epoch}")
    return loss


def save_checkpoint(
    path: Path, state: Mapping[str, Any], on_unsaved: Callable[[OSError], object] | None
) -> None:
    """Write a checkpoint; `on_unsaved`, where there is one, is told of a disk that is full."""
    try:
        write_checkpoint(path, state)
    except OSError as error:
        if on_unsaved is None:
            raise
        on_unsaved(error)


def passing_buffers(network: nn.Module) -> dict[str, torch.Tensor]:
    """Those that are in no state dict, such as what `fake_quantise` has seen of its inputs."""
    kept = network.state_dict().keys()
    return {name: buffer for name, buffer in network.named_buffers() if name not in kept}
