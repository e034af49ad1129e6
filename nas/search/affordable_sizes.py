"""Which widths, growths and levels occur together within a budget."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping
from itertools import product
from typing import Any

from nas.config.data_space import DataSpace
from nas.export.shared_weights import Size
from nas.study.samplers.counted_network import NetworkCounter
from nas.study.training_cost import TrainingCosts
from search_spaces.elastic import options_of, scaled
from search_spaces.hybrid import Hybrid
from search_spaces.space import to_params

COUNTED = {"params", "macs"}  # limits that are known without training
KINDS = ("conv", "stem_stride", "skip", "decoder")  # of which one or two are the cheapest


def affordable_sizes(within: DataSpace, costs: TrainingCosts) -> tuple[Size, ...] | None:
    """(width, growth, levels) of which the smallest network is within the budget, its memory aside.

    Each may be within it, and their product a hundred times over it: shared weights need not be
    that large. None where there is no such limit.
    """
    limits = sorted(COUNTED & set(costs.budget.limits()))
    if not limits:
        return None
    options = options_of(within.space, within.restrict)
    counter = NetworkCounter(within.space, within.restrict, costs)

    def count(size: Size, kind: Hybrid) -> Mapping[str, float]:
        width, growth, levels = size
        fixed = {"width": (width,), "growth": (growth,), "levels": (levels,)}
        smallest = scaled(within.space, {**within.restrict, **fixed}, 0.0, kind)
        counted = counter.count(to_params(smallest))
        return dict.fromkeys(limits, math.inf) if counted is None else counted.costs

    kinds: list[Hybrid] = []
    for values in product(*(options[knob] for knob in KINDS)):
        kind: dict[str, Any] = dict(zip(KINDS, values, strict=True))
        kinds.append(Hybrid(**kind))
    widths = sorted(map(int, options["width"]))
    growths, depths = [float(g) for g in options["growth"]], [int(n) for n in options["levels"]]
    first = widths[0], min(growths), min(depths)
    table = [(count(first, kind), kind) for kind in kinds]
    cheapest = [min(table, key=lambda row: row[0][name])[1] for name in limits]

    def fits(size: Size) -> bool:
        return any(not costs.budget.excess(count(size, kind)) for kind in cheapest)

    found: list[Size] = []
    for growth, levels in product(growths, depths):
        sizes = [(width, growth, levels) for width in widths]
        # By bisection: whatever is larger than one that fails, fails.
        found += sizes[: bisect_left(sizes, True, key=lambda size: not fits(size))]
    return tuple(found)
