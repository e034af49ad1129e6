"""Units of a block that can be taken out whole: heads, neurons, channels.

A block that has some offers them as `prunable() -> {name: Units}` (`search_spaces.offers`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd

Kind = Literal["heads", "neurons", "channels"]


@dataclass(frozen=True)
class Place:
    """Where the weights of units lie: an axis of a module's weights.

    From `offset` on, the axis has `before * units * after` entries, row-major: `Place(qkv,
    before=3, after=d)` for the rows of queries, keys and values of heads d wide. The module is a
    linear layer, low-rank factors of one, a convolution, a norm, or one with a `keep_heads(index)`
    of its own.
    """

    module: nn.Module
    before: int = 1
    after: int = 1
    offset: int = 0

    def entries(self, count: int, kept: Sequence[int], length: int) -> list[int]:
        """What stays of an axis of that length: the units `kept` of `count`, and all others."""
        runs = torch.arange(self._size(count), device="cpu").view(self.before, count, self.after)
        found: list[int] = (self.offset + runs[:, list(kept)].flatten()).tolist()
        after = range(self.offset + self._size(count), length)
        return [*range(self.offset), *found, *after]

    def by_unit(self, values: torch.Tensor, count: int) -> torch.Tensor:
        """Values along the axis, summed over each of `count` units: (length,) -> (count,)."""
        own = values[self.offset : self.offset + self._size(count)]
        return own.view(self.before, count, self.after).sum((0, 2))

    def axis(self, made: bool) -> int:
        """Of the weights: the outputs or the inputs."""
        return int(made == getattr(self.module, "transposed", False))

    def _size(self, count: int) -> int:
        return self.before * count * self.after


@dataclass(frozen=True)
class Units:
    """`count` units of a kind, which nothing but `read` looks at.

    `made`: whose outputs they are, `read`: whose inputs. Without a unit the network computes what
    it would with zeros in those inputs. `sections`: from each of so many equal runs of units as
    many are kept, since a norm or shared keys treat each run alike. `counts`: the attributes of
    modules that hold the number of units.
    """

    kind: Kind
    count: int
    made: tuple[Place, ...]
    read: tuple[Place, ...]
    sections: int = 1
    counts: tuple[tuple[nn.Module, str], ...] = ()


def prunable(network: nn.Module) -> dict[str, Units]:
    """All units of a network, by the path of their block and their own name."""
    found: dict[str, Units] = {}
    for path, module in network.named_modules():
        if offered := getattr(module, "prunable", None):
            units: Mapping[str, Units] = offered()
            found |= {f"{path}.{name}".removeprefix("."): each for name, each in units.items()}
    return found


def keep(units: Units, kept: Sequence[int]) -> None:
    """Take all units out but `kept`, which are in order and as many from every section.

    Other units' places may lie behind them on an axis: ask for `prunable` anew after it.
    """
    for place in units.made:
        _cut_outputs(place, units.count, kept)
    for place in units.read:
        reader, axis = first_layer(place.module), place.axis(made=False)
        entries = place.entries(units.count, kept, weight_of(reader).shape[axis])
        _cut(reader, "weight", axis, entries)
        counted = "in_features" if isinstance(reader, nn.Linear) else "in_channels"
        setattr(reader, counted, len(entries))
    for module, name in units.counts:
        setattr(module, name, len(kept))


def first_layer(module: nn.Module) -> nn.Module:
    """The layer itself, or the first of low-rank factors."""
    return first_layer(module[0]) if isinstance(module, nn.Sequential) else module


def last_layer(module: nn.Module) -> nn.Module:
    """The layer itself, or the last of low-rank factors."""
    return last_layer(module[-1]) if isinstance(module, nn.Sequential) else module


def weight_of(layer: nn.Module) -> nn.Parameter:
    """Its weight."""
    weight = layer.weight
    assert isinstance(weight, nn.Parameter)
    return weight


def reading_weights(units: Units) -> Iterator[tuple[nn.Parameter, Place]]:
    """The weights that read the units."""
    for place in units.read:
        yield weight_of(first_layer(place.module)), place


def _cut_outputs(place: Place, count: int, kept: Sequence[int]) -> None:
    if own := getattr(place.module, "keep_heads", None):
        own(kept)
        return
    layer, axis = last_layer(place.module), place.axis(made=True)
    entries = place.entries(count, kept, weight_of(layer).shape[axis])
    _cut(layer, "weight", axis, entries)
    for name in ("bias", "running_mean", "running_var"):
        if getattr(layer, name, None) is not None:
            _cut(layer, name, 0, entries)
    if isinstance(layer, _ConvNd):
        if layer.groups > 1:  # depthwise: every channel has its own filter
            layer.groups = layer.in_channels = len(entries)
        layer.out_channels = len(entries)
    elif isinstance(layer, nn.Linear):
        layer.out_features = len(entries)
    elif isinstance(layer, nn.GroupNorm):
        layer.num_channels = len(entries)
    elif isinstance(layer, _NormBase):
        layer.num_features = len(entries)
    else:
        raise TypeError(f"a {type(layer).__name__} makes no units")


def _cut(module: nn.Module, name: str, axis: int, entries: Sequence[int]) -> None:
    """Leave only these entries along an axis of a parameter or buffer."""
    whole = getattr(module, name)
    index = torch.tensor(entries, dtype=torch.long, device=whole.device)
    part = whole.detach().index_select(axis, index)
    if isinstance(whole, nn.Parameter):
        part = nn.Parameter(part, requires_grad=whole.requires_grad)
    setattr(module, name, part)
