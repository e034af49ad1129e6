"""What a mechanism costs, and what it saves, in multiply-accumulates of one patch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn

from nas.analysis.explain.ablation import Means, Replacement, replaced
from nas.cost.mac_counts import count_twice
from search_spaces.meta_network import build_on_meta
from search_spaces.space import Architecture
from trainers.data.task import Task


@dataclass(frozen=True)
class Prices:
    """`macs`: of the network as it is. `own`: by mechanism, of the modules that work for it alone.
    `without`: of the network with each replacement, which also has what pruning saves elsewhere."""

    macs: int
    own: Mapping[str, int]
    without: Mapping[Replacement, int]


def prices(
    architecture: Architecture,
    task: Task,
    what: Sequence[Replacement],
    means: Means,
    kept: float,
) -> Prices:
    """Counted on a patch of the task. kept: the share of queries that was computed."""
    network = build_on_meta(architecture, task.channels, task.targets.outputs).eval()
    shape = (1, task.channels, *task.patch)
    as_it_is = count_twice(network, shape, kept)
    own = {
        mechanism: sum(as_it_is.thop.get(module, 0) for module in modules)
        for mechanism, modules in _spending(network).items()
    }
    without = {}
    for one in what:
        changed: list[bool] = []
        with replaced(network, one, means, partial(_compare, changed)):
            counted = count_twice(network, shape, kept)
        # What a replacement itself computes is no part of the network: it counts where it changes
        # how many tokens others have to work on, and nothing else.
        without[one] = counted.macs if any(changed) else as_it_is.macs
    return Prices(as_it_is.macs, own, without)


def _compare(changed: list[bool], old: Any, new: Any) -> None:
    """Add whether two outputs hold tensors of different shapes."""
    changed.append(_shapes(old) != _shapes(new))


def _shapes(output: Any) -> Any:
    if isinstance(output, torch.Tensor):
        return output.shape
    parts = output if isinstance(output, tuple | list) else vars(output).values()
    return [_shapes(part) for part in parts if not isinstance(part, int)]


def _spending(network: nn.Module) -> dict[str, set[nn.Module]]:
    """By mechanism the modules that are its price, with all inside them."""
    spending: dict[str, set[nn.Module]] = {}
    for module in network.modules():
        told: dict[str, list[nn.Module]] = {}
        if hasattr(module, "replacements"):
            told = {mechanism: [module] for mechanism in module.replacements()}  # type: ignore[operator]
        if hasattr(module, "spends"):
            told = module.spends()  # type: ignore[operator]
        for mechanism, roots in told.items():
            for root in roots:
                spending.setdefault(mechanism, set()).update(root.modules())
    return spending
