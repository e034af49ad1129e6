"""What the plots show, whatever draws them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from nas.analysis.preview.labels import Label, place_labels
from nas.analysis.preview.make_preview import Preview
from nas.analysis.preview.references import Reference
from nas.analysis.preview.variance import Driver
from nas.pareto.objectives import objective

BINS = 36
KNOBS = 8  # bars of a panel
LETTER, AIR = (6.2, 13.0), 6.0  # pixels of a letter, and between a point and its label
WITHIN, OVER, LIMIT = "#0072b2", "#b8bec6", "#d55e00"  # Okabe and Ito's palette, and a grey
PRESET, BASELINE = "#009e73", "#cc79a7"
PRESENCE = "#9ecae1"


@dataclass(frozen=True, eq=False)
class Mark:
    """A known network: its number in the table, and where it lies."""

    number: int
    reference: Reference
    baseline: bool

    @property
    def colour(self) -> str:
        """Of its kind."""
        return BASELINE if self.baseline else PRESET

    @property
    def label(self) -> str:
        """Its number and name."""
        return f"{self.number} {self.reference.name}"


@dataclass(frozen=True)
class Histogram:
    """Architectures by the log of a cost: within the whole budget, as far as it is known, and not.

    `edges`: of the bins, one more than there are.
    """

    name: str
    edges: tuple[float, ...]
    within: tuple[int, ...]
    over: tuple[int, ...]
    limit: float | None

    @property
    def count(self) -> int:
        """How many architectures there are."""
        return sum(self.within) + sum(self.over)

    @property
    def top(self) -> int:
        """How many are in the fullest bin."""
        return max(a + b for a, b in zip(self.within, self.over, strict=True)) or 1


@dataclass(frozen=True)
class Bars:
    """The knobs that explain most of a cost, most first."""

    name: str
    drivers: tuple[Driver, ...]

    @property
    def title(self) -> str:
        """The cost."""
        return f"What drives {objective(self.name).phrase}"

    @property
    def knobs(self) -> list[str]:
        """Their names."""
        return [driver.knob for driver in self.drivers]

    @property
    def parts(self) -> tuple[tuple[str, str, list[float]], ...]:
        """A name, a colour and the shares, for both parts of the bars."""
        return (
            ("its options", WITHIN, [max(driver.values, 0.0) for driver in self.drivers]),
            (
                "whether it is asked for",
                PRESENCE,
                [max(driver.presence, 0.0) for driver in self.drivers],
            ),
        )


@dataclass(frozen=True)
class Cloud:
    """Architectures in a plane of two costs; `within[i]`: the whole budget."""

    x_name: str
    y_name: str
    keys: tuple[str, ...]
    x: tuple[float, ...]
    y: tuple[float, ...]
    within: tuple[bool, ...]
    x_limit: float | None
    y_limit: float | None

    def spans(self, marks: Sequence[Mark]) -> tuple[tuple[float, float], tuple[float, float]]:
        """The ranges of both axes that hold everything."""
        axes = ((self.x_name, self.x, self.x_limit), (self.y_name, self.y, self.y_limit))
        x, y = (
            around([*values, *(m.reference.costs[name] for m in marks)], limit)
            for name, values, limit in axes
        )
        return x, y

    def labels(self, marks: Sequence[Mark], width: float, height: float) -> list[Label]:
        """The marks' names or numbers where they fit on axes of that many pixels."""
        spans = self.spans(marks)
        points = [
            tuple(
                size * math.log(mark.reference.costs[name] / low) / math.log(high / low)
                for name, size, (low, high) in zip(
                    (self.x_name, self.y_name), (width, height), spans, strict=True
                )
            )
            for mark in marks
        ]
        texts = [(mark.reference.name, str(mark.number)) for mark in marks]
        return place_labels([(x, y) for x, y in points], texts, LETTER, AIR, (width, height))


def around(values: Sequence[float], limit: float | None) -> tuple[float, float]:
    """A range of a log axis that holds the values and the limit, with some air."""
    held = [*values, *([] if limit is None else [limit])]
    air = max(max(held) / min(held), 1.2) ** 0.04
    return min(held) / air, max(held) * air


def histograms(preview: Preview) -> list[Histogram]:
    """Of parameters, multiply-accumulates and memory."""
    return [_histogram(preview, name) for name in ("params", "macs", "memory")]


def bars(preview: Preview) -> list[Bars]:
    """Of the same costs."""
    return [Bars(name, tuple(found[:KNOBS])) for name, found in preview.drivers.items()]


def plane(preview: Preview) -> Cloud:
    """Parameters against multiply-accumulates, of all architectures."""
    return _cloud(preview, "macs", "params")


def latency_plane(preview: Preview) -> Cloud | None:
    """Latency against multiply-accumulates, of those that were measured."""
    if preview.latencies is None or not preview.latencies.found:
        return None
    return replace(_cloud(preview, "macs", "latency_ms"), x_limit=None)  # it may be far away


def marks(preview: Preview) -> list[Mark]:
    """The known networks, numbered as in the table."""
    space = preview.config.space.name
    return [
        Mark(i, reference, reference.architecture.space != space)
        for i, reference in enumerate(preview.references, start=1)
    ]


def ticks(name: str, low: float, high: float) -> dict[float, str]:
    """Places on a log axis from `low` to `high`, and what they are called; about four."""
    base = 4.0 if name == "memory" else 10.0
    first, last = (math.floor(math.log(value, base)) for value in (low, high))
    finest = last - first > 2
    steps = (1.0,) if finest else (1.0, 2.0) if name == "memory" else (1.0, 2.0, 5.0)
    places = [step * base**power for power in range(first, last + 1) for step in steps]
    inside = [place for place in places if low <= place <= high]
    every = -(-len(inside) // 6)
    return {place: objective(name).short(place) for place in inside[::every]}


def _histogram(preview: Preview, name: str) -> Histogram:
    survey, budget = preview.survey, preview.config.budget
    last = survey.leading.get(name, len(survey.costs))
    seen = [costs for costs in survey.costs[:last] if name in costs]
    values = [math.log10(costs[name]) for costs in seen]
    inside = np.array([not budget.excess(costs) for costs in seen], dtype=bool)
    edges = bin_edges(values, BINS)
    within, over = (
        np.histogram(np.asarray(values)[chosen], edges)[0].tolist() for chosen in (inside, ~inside)
    )
    limit = budget.limits().get(name)
    return Histogram(name, tuple(10**edge for edge in edges), tuple(within), tuple(over), limit)


def bin_edges(values: Sequence[float], bins: int) -> list[float]:
    """Evenly spaced, around all values."""
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    air = max((high - low) / 200, 0.005)
    edges: list[float] = np.linspace(low - air, high + air, bins + 1).tolist()
    return edges


def _cloud(preview: Preview, x_name: str, y_name: str) -> Cloud:
    budget, limits = preview.config.budget, preview.config.budget.limits()
    seen = [
        (point.key, costs)
        for point, costs in zip(preview.survey.draw.points, preview.survey.costs, strict=True)
        if x_name in costs and y_name in costs
    ]
    return Cloud(
        x_name,
        y_name,
        tuple(key for key, _ in seen),
        tuple(costs[x_name] for _, costs in seen),
        tuple(costs[y_name] for _, costs in seen),
        tuple(not budget.excess(costs) for _, costs in seen),
        limits.get(x_name),
        limits.get(y_name),
    )
