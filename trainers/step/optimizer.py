"""AdamW whose learning rate rises and falls."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn

from trainers.config import TrainConfig
from trainers.precision import compute_type


class ScheduledAdamW:
    """AdamW on clipped gradients; its learning rate rises for the share `warmup` of all steps, then
    falls as a cosine to zero. With fp16 it scales the loss (`GradScaler`).

    On CUDA the update is one fused kernel, and the learning rate and the counts of steps are
    tensors there, which a captured update reads anew at every replay. `steps`: those begun.
    """

    def __init__(
        self, parameters: Iterable[nn.Parameter], config: TrainConfig, device: torch.device
    ) -> None:
        self.steps = 0
        self._parameters, self._config = list(parameters), config
        on_cuda, rate = device.type == "cuda", self._rate(0)
        self._adamw = torch.optim.AdamW(
            self._parameters,
            torch.tensor(rate, device=device) if on_cuda else rate,
            weight_decay=config.weight_decay,
            fused=on_cuda or None,
            capturable=on_cuda,
        )
        self._scaler = torch.amp.GradScaler(enabled=compute_type(config, device) == torch.float16)

    @property
    def scales_loss(self) -> bool:
        """Whether the loss is scaled by a factor that follows the gradients: with fp16."""
        return self._scaler.is_enabled()

    def begin_step(self) -> None:
        """Set the learning rate of the step that comes, which no graph does."""
        for group in self._adamw.param_groups:
            if isinstance(group["lr"], torch.Tensor):
                group["lr"].fill_(self._rate(self.steps))
            else:
                group["lr"] = self._rate(self.steps)
        self.steps += 1

    def drop_gradients(self) -> None:
        """Free them; the next backward pass makes new ones."""
        self._adamw.zero_grad(set_to_none=True)

    def backward(self, loss: torch.Tensor) -> None:
        """Add the loss's gradients to those that are there."""
        self._scaler.scale(loss).backward()

    def update(self) -> None:
        """Clip the gradients and change the weights."""
        self._scaler.unscale_(self._adamw)
        nn.utils.clip_grad_norm_(self._parameters, self._config.clip)
        self._scaler.step(self._adamw)
        self._scaler.update()

    def state(self) -> dict[str, Any]:
        """`optimizer`, `schedule` and `scaler`, the same from every kind of device."""
        state = self._adamw.state_dict()
        groups = [{**group, "lr": self._rate(self.steps)} for group in state["param_groups"]]
        return {
            "optimizer": {**state, "param_groups": groups},
            "schedule": {"last_epoch": self.steps},  # the word of torch's LambdaLR
            "scaler": self._scaler.state_dict(),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state()`, which another kind of device may have made.

        AdamW makes new tensors of it: what was captured before does not know them.
        """
        own = {name: self._adamw.param_groups[0][name] for name in ("lr", "fused", "capturable")}
        groups = [{**group, **own} for group in state["optimizer"]["param_groups"]]
        self._adamw.load_state_dict({**state["optimizer"], "param_groups": groups})
        self.steps = state["schedule"]["last_epoch"]
        self._scaler.load_state_dict(state["scaler"])

    def _rate(self, step: int) -> float:
        """The learning rate of a step: a linear rise, then a cosine to zero."""
        config = self._config
        total = config.epochs * config.steps_per_epoch
        rise = config.warmup * total
        if step < rise:
            return config.learning_rate * ((step + 1) / (rise + 1))
        turned = math.pi * (step - rise) / max(total - rise, 1)
        return config.learning_rate * (0.5 * (1 + math.cos(turned)))
