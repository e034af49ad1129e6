"""What can be built: the architectures of one type, which are sampled, listed and counted.

Spaces, samplers and evaluators of your own find here what they need of this package.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Protocol, TypeVar

from search_spaces.architecture import (
    Architecture,
    AxialArchitecture,
    LevelledArchitecture,
    axes_of,
    spatial_dims,
)
from search_spaces.axes import ALIKE, Axes
from search_spaces.choices import (
    ArchitectureError,
    Option,
    Part,
    choice,
    is_active,
    repeat,
    searched_fields,
)

__all__ = [
    "Architecture", "ArchitectureError", "AxialArchitecture", "Knob", "LevelledArchitecture",
    "Option", "Part", "RandomTrial", "Restrictions", "SearchSpace", "Trial", "axes_of", "choice",
    "is_active", "knob_table", "knobs", "path_pattern", "repeat", "sample", "searched_fields",
    "size", "spatial_dims", "to_params",
]  # fmt: skip

PartType = TypeVar("PartType", bound=Part)

Restrictions = Mapping[str, Sequence[Option]]


@lru_cache(maxsize=4096)  # a sampler asks for the same few hundred, a million times
def path_pattern(path: str) -> str:
    """`tokens.0.layers.1.gate` -> `tokens.layers.gate`: the name of a knob, without positions."""
    return ".".join(word for word in path.split(".") if not word.isdigit())


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
    """One searched field: its name without positions, its options and what it means; see `choice`
    for `usual` and `for_classes`."""

    name: str
    options: tuple[Option, ...]
    doc: str
    usual: Option
    for_classes: bool = False


def knobs(kind: type[Part], prefix: str = "") -> list[Knob]:
    """Every searched field of `kind` and of its parts, in order of declaration."""
    found: list[Knob] = []
    for f in searched_fields(kind):
        if options := f.metadata.get("options"):
            told = (f.metadata[name] for name in ("doc", "usual", "for_classes"))
            found.append(Knob(prefix + f.name, options, *told))
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
