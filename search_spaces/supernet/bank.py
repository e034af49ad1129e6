"""The weights that all networks share, and the differentiable cut of them that is one network's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import nn

from search_spaces.hybrid import Hybrid
from search_spaces.supernet.sharing import Place, Sizes, cut_in_bank, group_of, places

Entry = tuple[str, str]  # group, name


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
                weights[entry] = _spread(own[name].detach(), where[name], shapes[entry].parts)
    return {entry: weights[entry] for entry in shapes}


def cut_weight(weight: torch.Tensor, parts: tuple[Sizes, ...], place: Place) -> torch.Tensor:
    """The place's part of an entry, with gradients to it; the entry itself where that is all."""
    for axis, indices in cut_in_bank(parts, place):
        if indices == list(range(len(indices))):
            weight = weight.narrow(axis, 0, len(indices))
        else:
            weight = weight.index_select(axis, torch.tensor(indices, device=weight.device))
    return weight


def _places(point: Hybrid, in_channels: int, out_channels: int) -> dict[str, Place]:
    return places(meta_network(point, in_channels, out_channels), point)


def _add(
    shapes: dict[Entry, Shape], entry: Entry, point: Hybrid, name: str, place: Place
) -> None:
    old = shapes.get(entry)
    elements = 1
    for sizes in place.parts:
        elements *= sum(sizes)
    if old is None:
        shapes[entry] = Shape(place.parts, point, name, elements)
        return
    parts = tuple(_longest(a, b) for a, b in zip(old.parts, place.parts, strict=True))
    most = (point, name, elements) if elements > old.elements else (old.source, old.name, old.elements)
    shapes[entry] = Shape(parts, *most)


def _longest(a: Sizes, b: Sizes) -> Sizes:
    """Part by part; what has more parts has them at the end."""
    count = max(len(a), len(b))
    a, b = (sizes + (0,) * (count - len(sizes)) for sizes in (a, b))
    return tuple(map(max, a, b))


def _spread(weight: torch.Tensor, place: Place, parts: tuple[Sizes, ...]) -> torch.Tensor:
    for axis, (own, whole) in enumerate(zip(place.parts, parts, strict=True)):
        own = own + (0,) * (len(whole) - len(own))
        starts = [sum(own[:i]) for i in range(len(own))]
        indices = [
            at + i % n if n else 0
            for at, n, length in zip(starts, own, whole, strict=True)
            for i in range(length)
        ]
        weight = weight.index_select(axis, torch.tensor(indices)) if indices else weight
    return weight.clone()
