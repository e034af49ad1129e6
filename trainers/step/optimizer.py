"""The optimiser, whose learning rates change by step and by layer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn

from trainers.config import TrainConfig
from trainers.precision import compute_type
from trainers.step.rates import learning_rate

NO_SCALES: Mapping[nn.Parameter, float] = {}


class ScheduledOptimizer:
    """AdamW, Adam or SGD on clipped gradients, at the `learning_rate` of every step times what
    `scales` has for a parameter, by default 1. With fp16 it scales the loss (`GradScaler`).

    On CUDA the update is fused, a kernel for each scale, and learning rates and the counts of steps
    are tensors there, which a captured update reads anew at every replay. `steps`: those begun.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        config: TrainConfig,
        device: torch.device,
        scales: Mapping[nn.Parameter, float] = NO_SCALES,
    ) -> None:
        self.steps = 0
        self._parameters, self._config = list(parameters), config
        self._optimizer = _make(_groups(self._parameters, scales), config, device)
        half = compute_type(config, device) == torch.float16
        self._scaler = torch.amp.GradScaler(device.type, enabled=half)

    @property
    def scales_loss(self) -> bool:
        """Whether the loss is scaled by a factor that follows the gradients: with fp16."""
        return self._scaler.is_enabled()

    def begin_step(self) -> None:
        """Set the learning rates of the step that comes, which no graph does."""
        for group, rate in zip(self._optimizer.param_groups, self._rates(), strict=True):
            if isinstance(group["lr"], torch.Tensor):
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate
        self.steps += 1

    def drop_gradients(self) -> None:
        """Free them; the next backward pass makes new ones."""
        self._optimizer.zero_grad(set_to_none=True)

    def backward(self, loss: torch.Tensor) -> None:
        """Add the loss's gradients to those that are there."""
        self._scaler.scale(loss).backward()

    def update(self) -> None:
        """Clip the gradients and change the weights."""
        self._scaler.unscale_(self._optimizer)
        nn.utils.clip_grad_norm_(self._parameters, self._config.clip)
        self._scaler.step(self._optimizer)
        self._scaler.update()

    def state(self) -> dict[str, Any]:
        """`optimizer`, `schedule` and `scaler`, the same from every kind of device."""
        state = self._optimizer.state_dict()
        each = zip(state["param_groups"], self._rates(), strict=True)
        return {
            "optimizer": {**state, "param_groups": [{**group, "lr": rate} for group, rate in each]},
            "schedule": {"last_epoch": self.steps},  # the word of torch's LambdaLR
            "scaler": self._scaler.state_dict(),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state()`, which another kind of device may have made.

        The optimiser makes new tensors of it: what was captured before does not know them.
        """
        own = ("lr", "scale", "fused", "capturable")  # of this device, whatever was saved
        groups = [
            {**saved, **{name: group[name] for name in own if name in group}}
            for saved, group in zip(
                state["optimizer"]["param_groups"], self._optimizer.param_groups, strict=True
            )
        ]
        self._optimizer.load_state_dict({**state["optimizer"], "param_groups": groups})
        self.steps = state["schedule"]["last_epoch"]
        if state["scaler"]:  # empty in what version 0.1 saved of fp16 on a CPU
            self._scaler.load_state_dict(state["scaler"])

    def _rates(self) -> list[float]:
        """The learning rate of every group in the step that comes."""
        rate = learning_rate(self._config, self.steps)
        return [rate * group["scale"] for group in self._optimizer.param_groups]


def _groups(
    parameters: Iterable[nn.Parameter], scales: Mapping[nn.Parameter, float]
) -> list[dict[str, Any]]:
    """torch's groups of parameters, one for each scale, in the order of their first parameters."""
    alike: dict[float, list[nn.Parameter]] = {}
    for parameter in parameters:
        alike.setdefault(scales.get(parameter, 1.0), []).append(parameter)
    return [{"params": group, "scale": scale} for scale, group in alike.items()]


def _make(
    groups: list[dict[str, Any]], config: TrainConfig, device: torch.device
) -> torch.optim.Optimizer:
    """The optimiser at the rates of its first step."""
    on_cuda = device.type == "cuda"
    for group in groups:
        rate = learning_rate(config, 0) * group["scale"]
        group["lr"] = torch.tensor(rate, device=device) if on_cuda else rate
    usual: dict[str, Any] = {"weight_decay": config.weight_decay, "fused": on_cuda or None}
    if config.optimizer == "sgd":
        momentum = config.momentum
        return torch.optim.SGD(groups, momentum=momentum, nesterov=momentum > 0, **usual)
    kind = torch.optim.AdamW if config.optimizer == "adamw" else torch.optim.Adam
    return kind(groups, betas=config.betas, capturable=on_cuda, **usual)
