"""The weights that all networks share, and the differentiable cut of them that is one network's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from math import prod

import torch
from torch import nn

from search_spaces.hybrid import Hybrid
from search_spaces.supernet.joined import Sizes
from search_spaces.supernet.sharing import Place, group_of, places

Entry = tuple[str, str]  # group, name
Heads = Sequence[tuple[int, int | torch.Tensor]]  # axis, and the first so many or those indices


@dataclass(frozen=True)
class Shape:
    """Sizes of the parts along every axis of an entry, and the network that has most of it, with
    the name that the weight has there."""

    parts: tuple[Sizes, ...]
    source: Hybrid
    name: str
    elements: int


def bank_shapes(
    convolutional: Iterable[Hybrid],
    tokens: Iterable[Hybrid],
    in_channels: int,
    out_channels: int,
) -> dict[Entry, Shape]:
    """Every entry, as large as the largest network has it.

    Token stages are those of every group with the same convolutions.
    """
    shapes: dict[Entry, Shape] = {}
    groups: set[str] = set()
    for point in convolutional:
        groups.add(group_of(point))
        for name, place in _places(point, in_channels, out_channels).items():
            _add(shapes, (place.group, place.name), point, name, place)
    for point in tokens:
        alike = [group for group in sorted(groups) if group.split("/")[0] == point.conv]
        for name, place in _places(point, in_channels, out_channels).items():
            for group in alike if name.startswith("tokens.") else ():
                _add(shapes, (group, place.name), point, name, place)
    return shapes


def meta_network(point: Hybrid, in_channels: int, out_channels: int) -> nn.Module:
    """The network without weights."""
    with torch.device("meta"):
        return point.build(in_channels, out_channels)


def initial_weights(
    shapes: Mapping[Entry, Shape], in_channels: int, out_channels: int, seed: int
) -> dict[Entry, torch.Tensor]:
    """Every entry with the numbers that its source starts with; where no single network has all of
    an entry, they are repeated."""
    by_source: dict[str, list[Entry]] = {}
    for entry, shape in shapes.items():
        by_source.setdefault(shape.source.key, []).append(entry)
    weights = {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for entries in by_source.values():
            point = shapes[entries[0]].source
            network = point.build(in_channels, out_channels)
            own, where = dict(network.named_parameters()), places(network, point)
            for entry in entries:
                name = shapes[entry].name
                weights[entry] = _spread(own[name].detach(), where[name].parts, shapes[entry].parts)
    return {entry: weights[entry] for entry in shapes}


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


def _places(point: Hybrid, in_channels: int, out_channels: int) -> dict[str, Place]:
    return places(meta_network(point, in_channels, out_channels), point)


def _add(shapes: dict[Entry, Shape], entry: Entry, point: Hybrid, name: str, place: Place) -> None:
    new = Shape(place.parts, point, name, prod(map(sum, place.parts)))
    old = shapes.get(entry, new)
    parts = tuple(_longest(a, b) for a, b in zip(old.parts, new.parts, strict=True))
    shapes[entry] = replace(new if new.elements > old.elements else old, parts=parts)


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
