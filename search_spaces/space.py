"""What can be built: architectures as typed records, and the choices that span a space.

A space is a type of record. A frozen dataclass declares its searched fields once, by `choice` and
`repeat`; sampling, validation, listing, size and documentation are all read from that declaration.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import Field, dataclass, field, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self, TypeVar

from search_spaces.axes import ALIKE, Axes, AxesError
from search_spaces.stages import Stage

if TYPE_CHECKING:
    from torch import nn

Option = bool | int | float | str
PartType = TypeVar("PartType", bound="Part")


class ArchitectureError(ValueError):
    """A record that is no point of its space: the message names the field, what was found and what
    was expected."""


def choice(
    *options: Option,
    doc: str,
    when: Mapping[str, Sequence[Option]] | None = None,
    added_later: bool = False,
) -> Any:
    """A searched field: one of `options`, the first by default.

    `when={"layers_count": (3, 4)}`: a choice only where the earlier field `layers_count` is 3 or 4,
    at its default elsewhere; of several conditions all must hold.
    `added_later`: added when records without this field were already on disk. They stand for its
    default, at which it is not written, so that the keys of old networks stay what they were.
    """
    metadata = {"options": options, "doc": doc, "when": when or {}, "added_later": added_later}
    return field(default=options[0], metadata=metadata)


def repeat(kind: type[Part], count: str, doc: str) -> Any:
    """A searched tuple of records of type `kind`; the earlier field named `count` is its length."""
    return field(default=(), metadata={"kind": kind, "count": count, "doc": doc})


def searched_fields(part: Part | type[Part]) -> list[Field[Any]]:
    """The fields that are declared by `choice` or `repeat`, in order of declaration."""
    return [f for f in fields(part) if f.metadata]


class Trial(Protocol):
    """The one method of an Optuna trial that sampling needs."""

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any: ...


class RandomTrial:
    """A trial without a study: values at random, or those of `answers` where they are a choice.

    `choices`: what could be chosen from, by the names suggested so far. Raises ValueError for a
    name that comes twice, for which a study would give its first value again.
    """

    def __init__(self, seed: int = 0, answers: Mapping[str, Any] | None = None) -> None:
        self._random, self._answers = random.Random(seed), answers or {}
        self.choices: dict[str, tuple[Any, ...]] = {}

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        if name in self.choices:
            raise ValueError(f"{name} is asked twice")
        self.choices[name] = tuple(choices)
        answer = self._answers.get(name)
        return answer if answer in choices else self._random.choice(choices)


def is_active(f: Any, values: Mapping[str, Any]) -> bool:
    """Whether the field `f` is a choice, given the `values` of the record's earlier fields."""
    when = f.metadata.get("when", {})
    return all(values[name] in options for name, options in when.items())


Restrictions = Mapping[str, Sequence[Option]]


def path_pattern(path: str) -> str:
    """`tokens.0.layers.1.gate` -> `tokens.layers.gate`: the name of a knob, without positions."""
    return ".".join(word for word in path.split(".") if not word.isdigit())


@dataclass(frozen=True, kw_only=True)
class Part:
    """A record of fields that are declared by `choice` or `repeat`."""

    def __post_init__(self) -> None:
        for f in searched_fields(self):
            value = getattr(self, f.name)
            where = f"{type(self).__name__}.{f.name}"
            if options := f.metadata.get("options"):
                if not any(value == o and type(value) is type(o) for o in options):
                    raise ArchitectureError(f"{where} = {value!r}; expected one of {list(options)}")
            else:
                count = getattr(self, f.metadata["count"])
                if len(value) != count:
                    raise ArchitectureError(
                        f"{where} has {len(value)} entries; {f.metadata['count']} says {count}"
                    )

    def canonical(self) -> Self:
        """The record that stands for all spellings of this network.

        Fields that are no choice are at their defaults; subclasses reset what else has no effect.
        """
        idle = {f.name: f.default for f in searched_fields(self) if not is_active(f, vars(self))}
        return replace(self, **idle)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, in the order of declaration; see `choice` for `added_later`."""
        return {
            f.name: [part.to_json() for part in value] if isinstance(value, tuple) else value
            for f in searched_fields(self)
            for value in [getattr(self, f.name)]
            if not (f.metadata.get("added_later") and value == f.default)
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any], where: str = "architecture") -> Self:
        """The inverse of `to_json`.

        Raises ArchitectureError that names the field where one is unknown, missing or outside its
        options: an old record never silently becomes another network.
        """
        if not isinstance(values, Mapping):
            raise ArchitectureError(f"{where} is {type(values).__name__}; expected a mapping")
        known = {f.name for f in searched_fields(cls)}
        if unknown := sorted(set(values) - known):
            names = ", ".join(f.name for f in searched_fields(cls))
            raise ArchitectureError(f"{where}.{unknown[0]} is unknown; {cls.__name__} has {names}")
        later = {f.name for f in searched_fields(cls) if f.metadata.get("added_later")}
        if missing := sorted(known - later - set(values)):
            raise ArchitectureError(f"{where}.{missing[0]} is missing")
        loaded: dict[str, Any] = dict(values)
        for f in searched_fields(cls):
            if kind := f.metadata.get("kind"):
                parts = values[f.name]
                if not isinstance(parts, list | tuple):
                    found = type(parts).__name__
                    raise ArchitectureError(f"{where}.{f.name} is {found}; expected a list")
                loaded[f.name] = tuple(
                    kind.from_json(part, f"{where}.{f.name}.{i}") for i, part in enumerate(parts)
                )
        try:
            return cls(**loaded)
        except ArchitectureError as error:
            raise ArchitectureError(f"{where}: {error}") from None


@dataclass(frozen=True, kw_only=True)
class Architecture(Part):
    """One network of a space. Subclasses name their `space` and build themselves."""

    space: ClassVar[str]

    @cached_property
    def key(self) -> str:
        """Ten hex digits of the canonical JSON's hash; names the network everywhere."""
        record = {"space": self.space, **self.canonical().to_json()}
        return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()[:10]

    def stride(self) -> int:
        """The input's side over that of the deepest map, along the axis that is halved most."""
        raise NotImplementedError

    def strides(self) -> tuple[int, ...]:
        """Of what each axis of the input must be a multiple."""
        return (self.stride(),) * spatial_dims(self)

    def with_axes(self, axes: Axes) -> Self:
        """The network for such axes; itself, where it can only treat all axes alike."""
        return self

    def has_idle_level(self) -> bool:
        """Whether it has levels that are no coarser than those above."""
        return False

    def picture(self) -> Sequence[Stage]:
        """The stages that a drawing of it shows, in the order of computation; () for none."""
        return ()

    def build(self, in_channels: int, out_channels: int) -> nn.Module:
        """A network from (B, in_channels, D, H, W) to logits (B, out_channels, D, H, W)."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class AxialArchitecture(Architecture):
    """An architecture whose strides, powers of two, and kernels may differ by axis.

    `axes` follows from the data and is not searched. It is not written where it has no effect.
    """

    axes: Axes = ALIKE

    @property
    def steps(self) -> int:
        """How often the axis is halved that is halved most, were all alike."""
        return self.stride().bit_length() - 1

    @property
    def own_axes(self) -> Axes:
        """The axes that it has: those of the plane alone, for networks of slices."""
        return self.axes.plane() if spatial_dims(self) == 2 else self.axes

    def strides(self) -> tuple[int, ...]:
        return self.own_axes.between(0, self.steps)

    def with_axes(self, axes: Axes) -> Self:
        return replace(self, axes=axes)

    def has_idle_level(self) -> bool:
        return not self.own_axes.halving(self.steps)

    def canonical(self) -> Self:
        canonical = super().canonical()
        return replace(canonical, axes=canonical.axes.canonical(canonical.steps))

    def to_json(self) -> dict[str, Any]:
        axes = {} if self.axes == ALIKE else {"axes": self.axes.to_json()}
        return super().to_json() | axes

    @classmethod
    def from_json(cls, values: Mapping[str, Any], where: str = "architecture") -> Self:
        if not isinstance(values, Mapping) or "axes" not in values:
            return super().from_json(values, where)
        choices = {name: value for name, value in values.items() if name != "axes"}
        try:
            axes = Axes.from_json(values["axes"])
        except AxesError as error:
            raise ArchitectureError(f"{where}.{error}") from None
        return super().from_json(choices, where).with_axes(axes)


@dataclass(frozen=True, kw_only=True)
class LevelledArchitecture(AxialArchitecture):
    """One of levels, each coarser than the one above it; -1 is the image."""

    def divisor(self, level: int) -> int:
        """The image's side over that of a level's map, were all axes alike."""
        raise NotImplementedError

    def resolution(self, level: int) -> int:
        """How many steps lead to the maps of a level."""
        return self.divisor(level).bit_length() - 1 if level >= 0 else 0

    def factor(self, level: int) -> tuple[int, ...]:
        """By which a level divides each axis of the one above it."""
        return self.axes.between(self.resolution(level - 1), self.resolution(level))

    def kernel(self, level: int) -> tuple[int, ...]:
        """Of a level's 3^3 convolutions."""
        return self.axes.kernel(self.resolution(level))


def axes_of(architecture: Architecture) -> Axes:
    """How its axes differ; all are alike for an architecture that cannot have it otherwise."""
    return getattr(architecture, "axes", ALIKE)


def spatial_dims(architecture: Architecture) -> int:
    """2 for networks of images (B, C, H, W), by a field or attribute of that name; else 3."""
    return getattr(architecture, "spatial_dims", 3)


def sample(
    kind: type[PartType], trial: Trial, restrict: Restrictions | None = None, prefix: str = ""
) -> PartType:
    """A record of type `kind` whose active fields are suggested by `trial`, in order.

    `restrict` narrows knobs, named without positions: `{"tokens.prune": [0.0, 0.5]}`.
    """
    values: dict[str, Any] = {}
    for f in searched_fields(kind):
        path = prefix + f.name
        if not is_active(f, values):
            values[f.name] = f.default
        elif options := f.metadata.get("options"):
            allowed = (restrict or {}).get(path_pattern(path), options)
            values[f.name] = trial.suggest_categorical(path, tuple(allowed))
        else:
            values[f.name] = tuple(
                sample(f.metadata["kind"], trial, restrict, f"{path}.{i}.")
                for i in range(values[f.metadata["count"]])
            )
    return kind(**values)


def to_params(architecture: Part, prefix: str = "") -> dict[str, Option]:
    """The values for which `sample` returns `architecture`: `{"tokens.0.prune": 0.5, ...}`."""
    answers: dict[str, Option] = {}
    for f in searched_fields(architecture):
        value = getattr(architecture, f.name)
        if isinstance(value, tuple):
            for i, part in enumerate(value):
                answers |= to_params(part, f"{prefix}{f.name}.{i}.")
        elif is_active(f, vars(architecture)):
            answers[prefix + f.name] = value
    return answers


@dataclass(frozen=True)
class Knob:
    """One searched field: its name without positions, its options and what it means."""

    name: str
    options: tuple[Option, ...]
    doc: str


def knobs(kind: type[Part], prefix: str = "") -> list[Knob]:
    """Every searched field of `kind` and of its parts, in order of declaration."""
    found: list[Knob] = []
    for f in searched_fields(kind):
        if options := f.metadata.get("options"):
            found.append(Knob(prefix + f.name, options, f.metadata["doc"]))
        else:
            found += knobs(f.metadata["kind"], f"{prefix}{f.name}.")
    return found


def size(kind: type[Part], restrict: Restrictions | None = None, prefix: str = "") -> int:
    """How many different records `sample` can return; several may be one network (`canonical`)."""

    def ways(remaining: Sequence[Any], values: dict[str, Any]) -> int:
        if not remaining:
            return 1
        f, *rest = remaining
        if repeated := f.metadata.get("kind"):
            each = size(repeated, restrict, f"{prefix}{f.name}.")
            return each ** int(values[f.metadata["count"]]) * ways(rest, values)
        if not is_active(f, values):
            return ways(rest, {**values, f.name: f.default})
        options = (restrict or {}).get(prefix + f.name, f.metadata["options"])
        if f.name not in controls:
            return len(options) * ways(rest, values)
        return sum(ways(rest, {**values, f.name: option}) for option in options)

    controls = {f.metadata.get("count") for f in searched_fields(kind)}
    controls |= {name for f in searched_fields(kind) for name in f.metadata.get("when", {})}
    return ways(searched_fields(kind), {})


@dataclass(frozen=True)
class SearchSpace:
    """A named space: its type of architecture and its presets, which are published points of it.

    `translate(architecture, name)`, where given, brings a network of this space into the space of
    that name, or a network of another space into this one; None for what it does not know.
    `axes`: how the axes of the data differ, which every sampled network heeds that can.
    """

    name: str
    kind: type[Architecture]
    presets: Callable[[], Mapping[str, Architecture]]
    translate: Callable[[Architecture, str], Architecture | None] | None = None
    axes: Axes = ALIKE

    def on(self, axes: Axes) -> SearchSpace:
        """The space of the same choices for data with such axes."""
        return replace(self, axes=axes)

    def sample(self, trial: Trial, restrict: Restrictions | None = None) -> Architecture:
        """A point suggested by `trial`, in canonical form."""
        return sample(self.kind, trial, restrict).with_axes(self.axes).canonical()

    def from_json(self, values: Mapping[str, Any]) -> Architecture:
        """The architecture that `to_json` wrote. Raises ArchitectureError."""
        return self.kind.from_json(values)

    def knobs(self) -> list[Knob]:
        """The choices, for listings and documentation."""
        return knobs(self.kind)

    def size(self, restrict: Restrictions | None = None) -> int:
        """How many records the space holds; see `size` of this module."""
        return size(self.kind, restrict)


def knob_table(space: SearchSpace) -> str:
    """The space's choices as a Markdown table."""
    rows = [f"| `{k.name}` | {', '.join(map(str, k.options))} | {k.doc} |" for k in space.knobs()]
    return "\n".join(["| knob | options, the first by default | meaning |", "|---|---|---|", *rows])
