"""Structured pruning: the units that matter least to the loss are taken out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import nn

from search_spaces.blocks.prunable import Units, keep, prunable, reading_weights

Batches = Iterable[tuple[torch.Tensor, torch.Tensor]]


def prune(
    network: nn.Module, share: float, kinds: Iterable[str], batches: Batches, loss: nn.Module
) -> dict[str, int]:
    """Leave the most important `share` of every block's units of these kinds, one at least.

    Changes `network` (eval mode); returns how many are left where some went. Units of one block
    are compared with each other alone, so that no layer is emptied.
    """
    units = {name: each for name, each in prunable(network).items() if each.kind in {*kinds}}
    left = {name: _left(each, share) for name, each in units.items()}
    fewer = {name: count for name, count in left.items() if count < units[name].count}
    found = importance(network, {name: units[name] for name in fewer}, batches, loss)
    for name, count in fewer.items():
        each = prunable(network)[name]
        keep(each, most_important(found[name], each.sections, count))
    return fewer


def importance(
    network: nn.Module, units: Mapping[str, Units], batches: Batches, loss: nn.Module
) -> dict[str, torch.Tensor]:
    """By how much the loss changes without a unit, to first order: (count,) for each entry.

    Summed over the batches, `|sum w dL/dw|`, w being the weights that read the unit. The sum is
    dL/dx at 1 of a factor x on what the unit gives: of heads the importance of Michel 2019 (Eq. 2),
    of neurons and channels that of Molchanov 2017 (Sec. 2.2), here summed over all that read them.
    """
    totals = {name: torch.zeros(each.count) for name, each in units.items()}
    weights = {name: list(reading_weights(each)) for name, each in units.items()}
    read = list({id(w): w for pairs in weights.values() for w, _ in pairs}.values())
    for images, labels in batches if read else ():
        gradients = torch.autograd.grad(loss(network(images), labels), read, allow_unused=True)
        change = {
            id(w): torch.zeros_like(w) if g is None else w.detach() * g
            for w, g in zip(read, gradients, strict=True)
        }
        for name, each in units.items():
            by_unit = [
                place.by_unit(_along(change[id(w)], place.axis(made=False)), each.count)
                for w, place in weights[name]
            ]
            totals[name] += torch.stack(by_unit).sum(0).abs().cpu()
    return totals


def most_important(found: torch.Tensor, sections: int, count: int) -> list[int]:
    """The `count` units of the largest importance, as many of every section, in order."""
    runs = found.view(sections, -1)
    best = runs.topk(count // sections).indices + runs.shape[1] * torch.arange(sections)[:, None]
    kept: list[int] = best.flatten().sort().values.tolist()
    return kept


def _along(t: torch.Tensor, axis: int) -> torch.Tensor:
    """Summed over all axes but one."""
    return t.transpose(0, axis).flatten(1).sum(1)


def _left(units: Units, share: float) -> int:
    each = units.count // units.sections
    return units.sections * max(1, round(share * each))
