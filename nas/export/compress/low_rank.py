"""Low-rank factorisation of trained linear layers and convolutions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import nn
from torch.nn.modules.conv import _ConvNd

from search_spaces.blocks.low_rank import Factors
from search_spaces.blocks.prunable import weight_of
from search_spaces.networks.shrink import replace_layer

LEAST = 16  # features on the thinner side of a map; thinner ones are bottlenecks already


@torch.no_grad()
def factorise(
    network: nn.Module, share: float, kinds: Iterable[str], images: Iterable[torch.Tensor]
) -> dict[str, int]:
    """Leave every map about `share` of its weights, in two factors; returns their ranks.

    `kinds`: `linear`, `convolutions`. Changes `network` (eval mode). The factors of linear layers
    come nearest to the outputs on the layers' inputs in `images`, (B, C, D, H, W) each, those of
    convolutions to the weights. Maps that no pass calls as a layer stay whole, those with fewer
    than `LEAST` features on a side, and those that are factors.
    """
    maps = dict(_maps(network, {*kinds})) if share < 1 else {}
    moments: dict[nn.Module, torch.Tensor] = {}
    watches = [layer.register_forward_hook(_note(moments)) for layer in maps.values()]
    for image in images if maps else ():
        network(image)
    for watch in watches:
        watch.remove()
    ranks = {}
    for path, layer in maps.items():
        rank = _rank(layer, share)
        if layer in moments and rank:
            factors = Factors(layer, rank)
            factors.fill(layer, moments[layer] if isinstance(layer, nn.Linear) else None)
            replace_layer(network, path, factors)
            ranks[path] = rank
    return ranks


def _maps(network: nn.Module, kinds: set[str]) -> Iterator[tuple[str, nn.Module]]:
    for path, layer in network.named_modules():
        parent = network.get_submodule(path.rpartition(".")[0])
        factor = isinstance(parent, nn.Sequential) and all(isinstance(m, nn.Linear) for m in parent)
        if isinstance(layer, nn.Linear):
            fits = "linear" in kinds and not factor
        elif isinstance(layer, _ConvNd):
            plain = layer.groups == 1 and not layer.transposed
            fits = "convolutions" in kinds and plain and not isinstance(parent, Factors)
        else:
            continue
        if fits and min(weight_of(layer).shape[:2]) >= LEAST:
            yield path, layer


def _rank(layer: nn.Module, share: float) -> int:
    """Of factors with about `share` of the weights; 0 where they are no fewer."""
    out, into = weight_of(layer).flatten(1).shape
    rank = max(1, round(share * out * into / (out + into)))
    return rank if rank * (out + into) < out * into else 0


def _note(moments: dict[nn.Module, torch.Tensor]) -> Any:
    """A hook that adds up x x^T of linear layers; of others it tells that they are called."""

    def hook(layer: nn.Module, inputs: tuple[torch.Tensor, ...], _: torch.Tensor) -> None:
        if not isinstance(layer, nn.Linear):
            moments[layer] = torch.zeros(0)
            return
        x = inputs[0].flatten(0, -2).double()
        moments[layer] = moments.get(layer, 0) + x.T @ x / len(x)

    return hook
