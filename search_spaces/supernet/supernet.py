"""All networks of a restricted space in one set of weights."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.func import functional_call

from search_spaces.elastic import check_shareable, options_of, scaled
from search_spaces.garbage import gc_disabled
from search_spaces.hybrid import Hybrid
from search_spaces.meta_network import build_on_meta
from search_spaces.space import Architecture, ArchitectureError, Restrictions, SearchSpace
from search_spaces.supernet.bank import (
    Entry,
    Heads,
    bank_shapes,
    cut_weight,
    fits,
    heads_of,
    initial_weights,
)
from search_spaces.supernet.cover import Size, sizes_of
from search_spaces.supernet.sharing import Place, places

KEPT = 256  # networks without weights, which are light


@dataclass
class _Cut:
    """A network without weights; of each weight the entry and what it has of it; and how many
    epochs the network has heard of."""

    network: nn.Module
    weights: dict[str, tuple[str, Heads]]
    epoch: int | None = None


class Supernet(nn.Module):
    """Networks of a space that share their weights (once-for-all, Cai 2020; BigNAS, Yu 2020).

    The parameters are those of the largest networks of every kind. A smaller network of the space
    is the network that `architecture.build` makes, run on cuts of them: the head of every axis, or
    of every part of an axis that is several (`joined`); `sharing` says which weights two networks
    have in common. So a network that is cut out is an ordinary one.

    `sizes`: the (width, growth, levels) that occur, where it is not all of the restricted space:
    within a budget wide networks are shallow, and the bank need not be wide and deep. Axes are
    those of the space (`SearchSpace.on`). The same `seed` gives the same weights. Raises
    ArchitectureError, naming the knob, where the restricted space has options that cannot share
    weights (`search_spaces.elastic.refused`).
    """

    def __init__(
        self,
        space: SearchSpace,
        restrict: Restrictions,
        in_channels: int,
        out_channels: int,
        *,
        sizes: Sequence[Size] | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        check_shareable(space, restrict)
        self.space, self.restrict = space, restrict
        self.in_channels, self.out_channels = in_channels, out_channels
        options = options_of(space, restrict)
        occurring = sizes_of(options) if sizes is None else sizes
        with gc_disabled():
            shapes = bank_shapes(options, occurring, space.axes, in_channels, out_channels)
        self._parts = {entry: shape.parts for entry, shape in shapes.items()}
        weights = initial_weights(shapes, seed)
        self.bank = nn.ParameterDict(
            {_key(entry): nn.Parameter(weight) for entry, weight in weights.items()}
        )
        self._cuts: OrderedDict[str, _Cut] = OrderedDict()
        self._epochs: int | None = None
        self._epoch: int | None = None

    def largest(self, like: Architecture | None = None) -> Architecture:
        """The largest network of the same kinds (mixer, convolution, decoder and so on), or of the
        first option of every kind."""
        return scaled(self.space, self.restrict, 1.0, like)

    def smallest(self, like: Architecture | None = None) -> Architecture:
        """The smallest one; see `largest`."""
        return scaled(self.space, self.restrict, 0.0, like)

    def forward(self, architecture: Architecture, x: torch.Tensor) -> torch.Tensor:
        """x: (B, C_in, *S) -> logits (B, C_cls, *S) of that network, as `build` makes it.

        Gradients reach the weights that it has, and no others. Raises ArchitectureError for a
        network that has weights which those of the restricted space have not.
        """
        cut = self._cut(architecture)
        network = cut.network.train(self.training)
        if self._epoch is not None and cut.epoch != self._epoch:
            _tell(network, "begin_epoch", self._epoch)
            cut.epoch = self._epoch
        learns = {name: own.requires_grad for name, own in network.named_parameters()}
        weights = {
            name: weight if learns[name] else weight.detach()
            for name, weight in self._weights(cut).items()
        }
        logits: torch.Tensor = functional_call(network, weights, (x,))
        return logits

    def auxiliary_losses(
        self, architecture: Architecture, target: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """The terms that the network adds to its loss, of its last training pass; see `offers`."""
        network = self._cut(architecture).network
        offered = getattr(network, "auxiliary_losses", None)
        return {} if offered is None else offered(target)

    def begin_training(self, epochs: int) -> None:
        """Heard by every network that is run for the first time from now on."""
        self._epochs = epochs

    def begin_epoch(self, epoch: int) -> None:
        """Heard by every network that is run from now on."""
        self._epoch = epoch

    def cut(self, architecture: Architecture) -> nn.Module:
        """That network with copies of its weights: what `architecture.build` makes, trained."""
        with torch.no_grad():
            weights = {
                name: weight.detach().clone()
                for name, weight in self._weights(self._cut(architecture)).items()
            }
        network = self._unfilled(architecture)
        network.load_state_dict(weights, assign=True)
        return network

    def _cut(self, architecture: Architecture) -> _Cut:
        key = architecture.key
        if key not in self._cuts:
            point = architecture.canonical()
            assert isinstance(point, Hybrid), point
            network = self._unfilled(point)
            weights = {name: self._heads(place) for name, place in places(network, point).items()}
            if self._epochs is not None:
                _tell(network, "begin_training", self._epochs)
            self._cuts[key] = _Cut(network, weights)
            if len(self._cuts) > KEPT:
                self._cuts.popitem(last=False)
        self._cuts.move_to_end(key)
        return self._cuts[key]

    def _unfilled(self, architecture: Architecture) -> nn.Module:
        with gc_disabled():
            return build_on_meta(architecture.canonical(), self.in_channels, self.out_channels)

    def _heads(self, place: Place) -> tuple[str, Heads]:
        """The entry, and what a network has of it."""
        entry = place.group, place.name
        whole = self._parts.get(entry)
        if whole is None or not fits(whole, place.parts):
            raise ArchitectureError(
                f"{_key(entry)}: the networks that share weights here have "
                f"{'none' if whole is None else 'less of it'}; expected one of the space as it is "
                "restricted"
            )
        return _key(entry), heads_of(whole, place.parts)

    def _weights(self, cut: _Cut) -> dict[str, torch.Tensor]:
        return {
            name: cut_weight(self.bank[entry], heads)
            for name, (entry, heads) in cut.weights.items()
        }


def _key(entry: Entry) -> str:
    return "/".join(entry)


def _tell(network: nn.Module, name: str, number: int) -> None:
    """Call the method of that name of every module that has it."""
    for module in network.modules():
        if begin := getattr(module, name, None):
            begin(number)
