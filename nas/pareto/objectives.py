"""What networks are compared by: one table, from which every list, label and format is made."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:  # it loads PyTorch
    from nas.cost.count import Cost

UNKNOWN = "—"
Prefixes = tuple[tuple[float, str], ...]
PREFIXES: Mapping[int, Prefixes] = {
    1000: ((1e9, "G"), (1e6, "M"), (1e3, "k")),
    1024: ((2.0**30, "Gi"), (2.0**20, "Mi"), (2.0**10, "Ki")),
}


@dataclass(frozen=True, kw_only=True)
class Objective:
    """One objective. `name`: in configurations, journals and MLflow. `title` begins a heading.
    `meaning`: what a model card calls it, if not by its title.

    `span`: what counts as nothing and as all of it, whatever the search; a cost is compared by its
    logarithm between them, Dice as it is. `base`: of the prefixes of its unit. `counted`: reads it
    from the count of a network; None where it is estimated or measured.
    """

    name: str
    title: str
    meaning: str = ""
    span: tuple[float, float]
    unit: str = ""
    maximised: bool = False
    base: Literal[1000, 1024] = 1000
    counted: Callable[[Cost], float] | None = None

    @property
    def sign(self) -> float:
        """What makes its values ones to be minimised."""
        return -1.0 if self.maximised else 1.0

    @property
    def phrase(self) -> str:
        """The title within a sentence: `Dice`, `training memory`, `MACs`."""
        if self.maximised or self.title[1:2].isupper():
            return self.title
        return self.title[:1].lower() + self.title[1:]

    def exact(self, value: float | None) -> str:
        """A value in full: `0.8123`, `1,234`, `1.5 GiB`, `12.34 ms`."""
        if value is None:
            return UNKNOWN
        if self.maximised:
            return f"{value:.4f}"
        if self.unit == "ms":
            return f"{in_digits(value, 4)} ms"
        return self.short(value) if self.unit else f"{value:,.0f}"

    def short(self, value: float | None) -> str:
        """A value in three digits: `12.3 k`, `1.5 GiB`, `8.7 ms`; of Dice four decimals."""
        if value is not None and self.maximised:
            return f"{value:.4f}"
        return short_number(value, self.unit, self.base)

    @property
    def prefixes(self) -> Prefixes:
        """Those of its unit, the largest first."""
        return prefixes_of(self.unit, self.base)


OBJECTIVES: Mapping[str, Objective] = {
    objective.name: objective
    for objective in (
        Objective(name="dice", title="Dice", span=(0.0, 1.0), maximised=True),
        Objective(
            name="params", title="Parameters", span=(1e2, 1e9), counted=lambda cost: cost.params
        ),
        Objective(
            name="macs",
            title="MACs",
            meaning="multiply-accumulates of one window",
            span=(1e4, 1e13),
            counted=lambda cost: cost.macs,
        ),
        Objective(
            name="memory",
            title="Training memory",
            meaning="memory of a training step",
            span=(1e6, 1e12),
            unit="B",
            base=1024,
        ),
        Objective(
            name="latency_ms",
            title="Latency",
            meaning="latency of one window, median",
            span=(1e-2, 1e5),
            unit="ms",
        ),
    )
}
DICE = OBJECTIVES["dice"]
COSTS = tuple(name for name in OBJECTIVES if name != "dice")
LATENCY = "latency_ms"


def objective(name: str) -> Objective:
    """The objective of that name; `latency_ms@DEVICE` is the latency on one of several devices.

    Raises ValueError with the names there are.
    """
    kind, at, device = name.partition("@")
    found = OBJECTIVES.get(kind)
    if found is None or (at and not (kind == LATENCY and device)):
        raise ValueError(f"objective {name!r} is unknown; expected one of {', '.join(OBJECTIVES)}")
    if not device:
        return found
    meaning = found.meaning.replace(",", f" on {device},", 1)
    return replace(found, name=name, title=f"{found.title} on {device}", meaning=meaning)


def is_cost(name: str) -> bool:
    """Whether it names a cost, of whatever device."""
    return name.partition("@")[0] in COSTS


def is_latency(name: str) -> bool:
    """Whether it names a latency, of whatever device."""
    return name.partition("@")[0] == LATENCY


def latency_on(device: str) -> str:
    """What the latency on one of several devices is called among costs and objectives."""
    return f"{LATENCY}@{device}"


def device_of(name: str) -> str:
    """The device of `latency_ms@DEVICE`; empty for the name of any other cost."""
    return name.partition("@")[2]


def costs_among(names: Iterable[str]) -> list[str]:
    """The costs among the names, each once, in the order of the table; those on several devices by
    the devices' names."""
    known = {name for name in names if is_cost(name)}
    return sorted(known, key=lambda name: (COSTS.index(name.partition("@")[0]), name))


def prefixes_of(unit: str, base: Literal[1000, 1024]) -> Prefixes:
    """The prefixes before a unit, the largest first; none where it has one: no 1.02 kms."""
    return () if unit == "ms" else PREFIXES[base]


def short_number(
    value: float | None, unit: str = "", base: Literal[1000, 1024] = 1000, digits: int = 3
) -> str:
    """A few digits for people: `12.3 k`, `4.1 M`, `8.7 ms`; a dash for the unknown."""
    if value is None:
        return UNKNOWN
    for size, prefix in prefixes_of(unit, base):
        if value >= 0.9995 * size:  # 999,999 is 1 M, not 1e+03 k
            value, unit = value / size, prefix + unit
            break
    return f"{in_digits(value, digits)} {unit}".rstrip()


def chance_text(chance: float) -> str:
    """In per cent: `71%`; `>99%`, for no chance below 1 is a certainty, and `<1%`."""
    rounded = f"{chance:.0%}"
    return {"100%": ">99%", "0%": "<1%"}.get(rounded, rounded) if 0 < chance < 1 else rounded


def in_digits(value: float, digits: int) -> str:
    """So many significant ones, and noughts where there are more before the point: `1020`, and not
    `1.02e+03`."""
    return f"{float(f'{value:.{digits}g}'):.15g}"
