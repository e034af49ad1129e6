"""The part of a space whose networks take a patch."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import product

from search_spaces.axes import LEAST, Axes, by_axis
from search_spaces.elastic import options_of
from search_spaces.fitting import neighbours, sees_lines, takes
from search_spaces.space import (
    Architecture,
    ArchitectureError,
    Option,
    RandomTrial,
    Restrictions,
    SearchSpace,
    path_pattern,
)

SEEN = 8  # points whose neighbours tell which knobs decide about strides

Options = Mapping[str, Sequence[Option]]
Values = tuple[Option, ...]


def narrow_to_patch(
    space: SearchSpace, restrict: Restrictions, patch: Sequence[int]
) -> dict[str, Sequence[Option]]:
    """`restrict`, and without the options of which a patch (D, H, W) does not take every network.

    One option after the other goes, that with the largest share of such networks. Raises
    ArchitectureError where none is left.
    """
    left = _deciding(space, restrict)
    points = {values: _point(space, restrict, left, values) for values in product(*left.values())}
    unfit = {values for values, point in points.items() if not takes(point, patch)}
    if len(unfit) == len(points):
        raise ArchitectureError(_nothing_fits(space, list(points.values()), patch))
    while unfit:
        place, option = max(
            (
                (place, option)
                for place, options in enumerate(left.values())
                if len(options) > 1
                for option in options
            ),
            key=lambda one: _share(one[0], one[1], unfit, points),
        )
        knob = list(left)[place]
        left[knob] = tuple(o for o in left[knob] if o != option)
        points = {values: p for values, p in points.items() if values[place] != option}
        unfit &= points.keys()
    return {**restrict, **left}


def left_out(space: SearchSpace, before: Restrictions, after: Restrictions) -> list[str]:
    """`levels 5`: every option that `after` has no longer."""
    options = options_of(space, before)
    return [
        f"{name} {option}"
        for name, kept in after.items()
        for option in options[name]
        if option not in kept
    ]


def _deciding(space: SearchSpace, restrict: Restrictions) -> dict[str, tuple[Option, ...]]:
    """The knobs that a network's strides depend on, with their options."""
    options = options_of(space, restrict)
    names = set()
    for seed in range(SEEN):
        point = space.sample(RandomTrial(seed), restrict)
        for path, near in neighbours(point, restrict):
            if (near.strides(), near.stride()) != (point.strides(), point.stride()):
                names.add(path_pattern(path))
    return {name: tuple(options[name]) for name in options if name in names}


def _point(
    space: SearchSpace, restrict: Restrictions, knobs: Options, values: Sequence[Option]
) -> Architecture:
    fixed = {name: (value,) for name, value in zip(knobs, values, strict=True)}
    return space.sample(RandomTrial(0), {**restrict, **fixed})


def _share(
    place: int, option: Option, unfit: Collection[Values], points: Collection[Values]
) -> float:
    """Of the networks with that option, those that do not take the patch."""
    having = [values for values in points if values[place] == option]
    return sum(values in unfit for values in having) / len(having)


def _nothing_fits(space: SearchSpace, points: Sequence[Architecture], patch: Sequence[int]) -> str:
    if all(sees_lines(point, patch) for point in points):
        return (
            f"train.patch = {list(patch)}: the networks of {space.name}, restricted as it is, see "
            "slices along the first axis, which here are lines; put the axis of one voxel first, "
            "by data.preprocess.orientation (such as SAR) and train.patch"
        )
    waiting = Axes(space.axes.starts)  # no axis stops where the patch is long enough
    able = [point.with_axes(waiting) for point in points]
    strides = min(able, key=lambda p: (p.has_idle_level(), p.stride())).strides()
    lengths, least = list(patch[-len(strides) :]), LEAST if any(waiting.starts) else 1
    fitting = [
        s * max(least if s > 1 else 1, round(n / s)) for n, s in zip(lengths, strides, strict=True)
    ]
    if fitting == list(strides):
        fitting = [2 * length for length in fitting]
    return (
        f"train.patch = {list(patch)}: no network of {space.name}, restricted as it is, takes it; "
        f"the smallest stride is {by_axis(strides)}; use a patch such as "
        f"{[*patch[: -len(strides)], *fitting]}"
    )
