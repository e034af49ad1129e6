"""The plain network of a space at several sizes: what a search tries first by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product

import numpy as np

from nas.config.data_space import DataSpace
from nas.study.training_cost import TrainingCosts
from search_spaces.elastic import options_of
from search_spaces.fitting import takes
from search_spaces.prior import plain_network
from search_spaces.space import Architecture, Option, RandomTrial, sample, to_params

SCALE = ("width", "growth")  # knobs that make a network larger, and no other one


def ladder(
    within: DataSpace,
    count: TrainingCosts,
    rungs: int,
    prior: Mapping[str, Option] | None = None,
) -> list[Architecture]:
    """Up to `rungs` plain networks from the smallest to the largest that the budget lets through.

    Their parameters and multiply-accumulates are as near as can be to a geometric series, both at
    once. Nothing in it comes from any data. Memory does not count here.
    """
    sizes = _sizes(within, count.train.patch, prior)
    costs = [count.work(size) for size in sizes]
    kept = [(s, c) for s, c in zip(sizes, costs, strict=True) if not count.budget.excess(c)]
    if not kept:
        return []
    logs = np.log10([list(cost.values()) for _, cost in kept])  # (n, k)
    low, high = logs.min(axis=0), logs.max(axis=0)
    unit = (logs - low) / np.where(high > low, high - low, 1.0)
    chosen = {int(abs(unit - step).sum(axis=1).argmin()) for step in np.linspace(0, 1, rungs)}
    return [kept[place][0] for place in sorted(chosen, key=lambda place: unit[place].sum())]


def _sizes(
    within: DataSpace, patch: Sequence[int], prior: Mapping[str, Option] | None
) -> list[Architecture]:
    """The plain network at every scale, each once; those that the patch takes."""
    plain = plain_network(within.space, within.restrict, prior)
    options = {k: o for k, o in options_of(within.space, within.restrict).items() if k in SCALE}
    found: dict[str, Architecture] = {}
    for values in product(*options.values()):
        answers = {**to_params(plain), **dict(zip(options, values, strict=True))}
        size = sample(type(plain), RandomTrial(0, answers), within.restrict)
        size = size.with_axes(within.space.axes)
        found.setdefault(size.key, size)
    return [size for size in found.values() if takes(size, patch)]
