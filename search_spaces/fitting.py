"""Architectures brought into a restricted space, with as few changes as will do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from search_spaces.axes import by_axis
from search_spaces.space import (
    Architecture,
    Option,
    Part,
    Restrictions,
    axes_of,
    is_active,
    knobs,
    path_pattern,
    sample,
    searched_fields,
    spatial_dims,
    to_params,
)

PartType = TypeVar("PartType", bound=Part)
Point = TypeVar("Point", bound=Architecture)


def nearest(value: Option, options: Sequence[Option]) -> Option:
    """`value` where it is an option; else the first option for a name or a flag.

    For a number, the positive option nearest by ratio, the smaller of two equally near; 0, which
    mostly means none, only where no option is positive.
    """
    if value in options:
        return next(option for option in options if option == value)
    numbers = [option for option in options if _is_number(option)]
    if not _is_number(value) or not numbers:
        return options[0]
    positive = [n for n in numbers if n > 0]  # type: ignore[operator]
    if value <= 0 or not positive:  # type: ignore[operator]
        return _closest(value, numbers)
    return min(positive, key=lambda n: (max(n / value, value / n), n))  # type: ignore[operator]


def fit(part: PartType, restrict: Restrictions, prefix: str = "") -> PartType:
    """The nearest record within `restrict`: every choice becomes the nearest that is allowed.

    A list becomes as long as the nearest length that is allowed: cut at its end, or padded with
    parts that do nothing if there are such, else with its last part again. A record that already is
    within `restrict` comes back as it is, its fields that have no effect at their defaults.
    """
    counts = {f.metadata["count"] for f in searched_fields(part) if "count" in f.metadata}
    lengths = [len(f.metadata["options"]) for f in searched_fields(part) if f.name in counts]
    ways = [_spelt(part, restrict, prefix, way) for way in range(max(lengths, default=1))]
    return next((w for w in ways if w.canonical() == part.canonical()), ways[0])


def neighbours(point: Point, restrict: Restrictions) -> Iterator[tuple[str, Point]]:
    """The networks of the restricted space that differ from `point` in one knob, with its path.

    Fields that only the changed knob makes a choice are none, 0 or False if allowed, else the first
    of their options.
    """
    options = {knob.name: knob.options for knob in knobs(type(point))} | dict(restrict)
    answers, axes = to_params(point), axes_of(point)
    for path, value in answers.items():
        for option in options[path_pattern(path)]:
            if option != value:
                near = sample(type(point), _Plain({**answers, path: option}), restrict)
                near = near.with_axes(axes)
                if near.key != point.key:
                    yield path, near


def takes(architecture: Architecture, patch: Sequence[int]) -> bool:
    """Whether the strides divide the patch, leave more than one voxel to normalise, no level is as
    fine as the one above it, and the slices that a network of the plane sees are no lines."""
    strides = architecture.strides()
    axes = list(zip(patch[-len(strides) :], strides, strict=True))
    divides = not any(length % stride for length, stride in axes)
    single = all(length == stride for length, stride in axes)
    lines = sees_lines(architecture, patch)
    return divides and not single and not lines and not architecture.has_idle_level()


def sees_lines(architecture: Architecture, patch: Sequence[int]) -> bool:
    """Whether it segments the patch slice by slice, and a slice is one voxel wide, as of a picture
    whose one slice is not along the first axis."""
    plane = patch[-spatial_dims(architecture) :]
    return len(plane) < len(patch) and min(plane) == 1


def misfit(architecture: Architecture, patch: Sequence[int]) -> str | None:
    """Why the architecture takes no input of that size; None where it does."""
    axes, strides = "DHW"[-spatial_dims(architecture) :], architecture.strides()
    if len(patch) != len(axes):
        return f"expected channels and {len(axes)} axes, {'x'.join(['C', *axes])}"
    if any(length % stride for length, stride in zip(patch, strides, strict=True)):
        return f"{list(patch)} voxels; every axis must be a multiple of {by_axis(strides)}"
    return None


def misfit_of_patch(architecture: Architecture, patch: Sequence[int]) -> str | None:
    """The same of a training patch, of which a network of the plane takes slice by slice."""
    if sees_lines(architecture, patch):
        return f"{list(patch)} voxels: its slices are lines"
    return misfit(architecture, patch[-spatial_dims(architecture) :])


def differences(before: Architecture, after: Architecture) -> list[str]:
    """`width 32 -> 24` for every knob that has another value, whatever its position."""
    old, new = to_params(before.canonical()), to_params(after.canonical())
    changes = [
        f"{path_pattern(path)} {value} -> {new[path]}"
        for path, value in old.items()
        if path in new and new[path] != value
    ]
    return list(dict.fromkeys(changes))


class _Plain:
    """A trial that gives the values of `answers`; else none, 0 or False; else the first choice."""

    def __init__(self, answers: Mapping[str, Option] | None = None) -> None:
        self._answers = answers or {}

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        if self._answers.get(name) in choices:
            return self._answers[name]
        return next((c for c in choices if not c or c == "none"), choices[0])


def _spelt(part: PartType, restrict: Restrictions, prefix: str, way: int) -> PartType:
    """The record with every choice the nearest, and every list at its `way`-th nearest length."""
    repeats = {f.metadata["count"]: f for f in searched_fields(part) if "count" in f.metadata}
    values: dict[str, Any] = {}
    resized: dict[str, tuple[Part, ...]] = {}
    for f in searched_fields(part):
        name, value = f.name, getattr(part, f.name)
        if "count" in f.metadata:
            values[name] = tuple(
                fit(each, restrict, f"{prefix}{name}.{i}.")
                for i, each in enumerate(resized[f.metadata["count"]])
            )
            continue
        options = restrict.get(path_pattern(prefix + name), f.metadata["options"])
        allowed: Sequence[Any] = options if is_active(f, values) else (f.default,)
        if name in repeats:
            sizes = _resized(part, repeats[name], allowed, restrict, prefix)
            resized[name] = sizes[min(way, len(sizes) - 1)]
            values[name] = len(resized[name])
        else:
            values[name] = nearest(value, allowed)
    return replace(part, **values)


def _resized(
    part: Part, f: Any, allowed: Sequence[Any], restrict: Restrictions, prefix: str
) -> list[tuple[Part, ...]]:
    """The list `f` at the lengths of `allowed` that leave the network as it is, else at one."""
    count, parts = f.metadata["count"], getattr(part, f.name)
    idle = sample(f.metadata["kind"], _Plain(), restrict, f"{prefix}{f.name}.")
    found = []
    for length in sorted(allowed, key=lambda n: (abs(n - len(parts)), n)):
        tried = (*parts, *[idle] * (length - len(parts)))[:length]
        if replace(part, **{count: length, f.name: tried}).canonical() == part.canonical():
            found.append(tried)
    last = parts[-1] if parts else idle
    length = _closest(len(parts), allowed)
    return found or [(*parts, *[last] * (length - len(parts)))[:length]]


def _closest(value: Any, numbers: Sequence[Any]) -> Any:
    return min(numbers, key=lambda n: (abs(n - value), n))


def _is_number(value: Option) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
