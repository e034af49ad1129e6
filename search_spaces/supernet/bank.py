"""The weights that all networks share, and the differentiable cut of them that is one network's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate, product
from math import prod

import torch
from torch import nn

from search_spaces.axes import Axes
from search_spaces.meta_network import on_meta
from search_spaces.networks.hybrid_tokens import token_stage
from search_spaces.supernet.cover import Options, Size, convolutional_cover, token_cover
from search_spaces.supernet.joined import Sizes
from search_spaces.supernet.sharing import Place, group_of, places, stage_places

Entry = tuple[str, str]  # group, name
Heads = Sequence[tuple[int, int | torch.Tensor]]  # axis, and the first so many or those indices


@dataclass(frozen=True)
class Source:
    """A part of a network: how it is made, and where its weights are by their names in it."""

    make: Callable[[], nn.Module]
    places: Mapping[str, Place]


@dataclass(frozen=True)
class Shape:
    """Sizes of the parts along every axis of an entry, and the source that has most of it, with the
    name that the weight has there."""

    parts: tuple[Sizes, ...]
    source: Source
    name: str
    elements: int


def bank_shapes(
    options: Options, sizes: Sequence[Size], axes: Axes, in_channels: int, out_channels: int
) -> dict[Entry, Shape]:
    """Every entry that networks of these options and sizes have, as large as any has it."""
    shapes: dict[Entry, Shape] = {}
    groups: set[str] = set()
    for point in convolutional_cover(options, sizes, in_channels):
        point = point.with_axes(axes).canonical()
        make = partial(point.build, in_channels, out_channels)
        source = Source(make, places(on_meta(make), point))
        groups.add(group_of(point))
        for name, place in source.places.items():
            _add(shapes, (place.group, place.name), source, name)
    for level, channels, stage in token_cover(options, sizes):
        made = partial(token_stage, stage, channels)
        network = on_meta(made)
        for halved in (False, True):
            alike = [group for group in sorted(groups) if group.startswith("ghost/") == halved]
            source = Source(made, stage_places(network, level, stage.mixer, halved))
            for group, (name, place) in product(alike, source.places.items()):
                _add(shapes, (group, place.name), source, name)
    return shapes


def initial_weights(shapes: Mapping[Entry, Shape], seed: int) -> dict[Entry, torch.Tensor]:
    """Every entry with the numbers that its source starts with; where no single one has all of an
    entry, they are repeated."""
    by_source: dict[int, list[Entry]] = {}
    for entry, shape in shapes.items():
        by_source.setdefault(id(shape.source), []).append(entry)
    weights = {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for entries in by_source.values():
            source = shapes[entries[0]].source
            own = dict(source.make().named_parameters())
            for entry in entries:
                name, parts = shapes[entry].name, shapes[entry].parts
                weights[entry] = _spread(own[name].detach(), source.places[name].parts, parts)
    return {entry: weights[entry] for entry in shapes}


def fits(long: tuple[Sizes, ...], short: tuple[Sizes, ...]) -> bool:
    """Whether no axis has more parts, or a longer one, than that of the entry, `long`."""
    return all(
        len(own) <= len(parts) and all(n <= m for n, m in zip(own, parts, strict=False))
        for own, parts in zip(short, long, strict=True)
    )


def heads_of(long: tuple[Sizes, ...], short: tuple[Sizes, ...]) -> Heads:
    """What a network has of an entry along every axis of which it has less than all.

    `long`: the sizes of the entry's parts, each at least as long as that of the network, `short`.
    """
    heads: list[tuple[int, int | torch.Tensor]] = []
    for axis, (parts, own) in enumerate(zip(long, short, strict=True)):
        if sum(parts) == sum(own):
            continue
        pairs = zip(accumulate(parts, initial=0), own, strict=False)
        places = [start + i for start, n in pairs for i in range(n)]
        one_head = places == list(range(len(places)))
        heads.append((axis, len(places) if one_head else torch.tensor(places)))
    return heads


def cut_weight(weight: torch.Tensor, heads: Heads) -> torch.Tensor:
    """Those of an entry, with gradients to it; the entry itself where there are none to take."""
    for axis, taken in heads:
        if isinstance(taken, int):
            weight = weight.narrow(axis, 0, taken)
        else:
            weight = weight.index_select(axis, taken.to(weight.device))
    return weight


def _add(shapes: dict[Entry, Shape], entry: Entry, source: Source, name: str) -> None:
    parts = source.places[name].parts
    new = Shape(parts, source, name, prod(map(sum, parts)))
    old = shapes.get(entry, new)
    longest = tuple(_longest(a, b) for a, b in zip(old.parts, new.parts, strict=True))
    shapes[entry] = replace(new if new.elements > old.elements else old, parts=longest)


def _longest(a: Sizes, b: Sizes) -> Sizes:
    """Part by part; what has more parts has them at the end."""
    count = max(len(a), len(b))
    a, b = (sizes + (0,) * (count - len(sizes)) for sizes in (a, b))
    return tuple(map(max, a, b))


def _spread(weight: torch.Tensor, own: tuple[Sizes, ...], whole: tuple[Sizes, ...]) -> torch.Tensor:
    """A weight of these parts repeated to those, part by part."""
    for axis, (short, long) in enumerate(zip(own, whole, strict=True)):
        starts = accumulate(short, initial=0)
        parts = zip(starts, short, long, strict=False)
        places = [at + i % max(n, 1) for at, n, length in parts for i in range(length)]
        weight = weight.index_select(axis, torch.tensor(places))
    return weight.clone()
