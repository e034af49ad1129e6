"""Looks into a running network: what goes into its gated layers, and what comes out."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Any, Literal, Self, get_args

import torch
from torch import nn

from nas.analysis.redundancy.similarity import Centring, Similarity
from search_spaces.offers import is_gated

Part = Literal["mixer", "mlp"]
Output = Literal["residual", "branch"]
PARTS: tuple[Part, ...] = get_args(Part)


def gated_layers(network: nn.Module) -> dict[str, nn.Module]:
    """The gated layers of a network by module name, in the order in which they were built."""
    return {name: m for name, m in network.named_modules() if is_gated(m)}


def kept_parts(layer: nn.Module) -> list[Part]:
    """The parts that the gate kept."""
    return [part for part in PARTS if getattr(layer, part) is not None]


class Probe:
    """Measures every gated layer of `network` while it runs. A context manager.

    `output`: of a sub-layer f with input x and z = LN(x), "residual" compares x with x + f(z), and
    z with z + f(z); "branch" compares x, and z, with f(z) alone. `cka`: see `Similarity`.
    `layers` and `blocks` (layers with a common parent module) hold the sums by module name, in the
    order of execution once the network has run; `parts` hold those of the sub-layers, with the LN
    and without it. `bottleneck`: the sums of the voxels that go through the convolutions that a
    network calls so, the contrast of SlimFormer-3D's Fig. 2a.
    """

    def __init__(
        self, network: nn.Module, output: Output = "residual", cka: Centring = "centred"
    ) -> None:
        self.output, self.cka = output, cka
        self.layers: dict[str, Similarity] = {}
        self.blocks: dict[str, Similarity] = {}
        self.parts: dict[tuple[str, Part], tuple[Similarity, Similarity]] = {}
        self.bottleneck = Similarity(cka)
        self._bottleneck = dict(network.named_children()).get("bottleneck")
        self._gated = gated_layers(network)
        self._entered: dict[str, torch.Tensor] = {}  # a block's input, until its last layer ends
        self._hooks = ExitStack()

    def __enter__(self) -> Self:
        for name, layer in self._gated.items():
            for part in kept_parts(layer):
                self._watch_part(name, layer, part)
            self._watch(layer, partial(self._see_layer, name))
        if self._bottleneck is not None:
            self._watch(self._bottleneck, self._see_bottleneck)
        return self

    def __exit__(self, *_: object) -> None:
        self._hooks.close()

    def _watch(self, module: nn.Module, see: Callable[..., None]) -> None:
        self._hooks.enter_context(module.register_forward_hook(see))

    def _watch_part(self, name: str, layer: nn.Module, part: Part) -> None:
        with_norm, without_norm = Similarity(self.cka), Similarity(self.cka)
        self.parts[name, part] = with_norm, without_norm
        seen: list[torch.Tensor] = []

        def normed(_: nn.Module, inputs: tuple[torch.Tensor, ...], z: torch.Tensor) -> None:
            seen[:] = inputs[0], z

        def done(_: nn.Module, __: Any, f: torch.Tensor) -> None:
            for similarity, before in zip((with_norm, without_norm), seen, strict=True):
                similarity.update(before, before + f if self.output == "residual" else f)
            seen.clear()

        self._watch(getattr(layer, f"{part}_norm"), normed)
        self._watch(getattr(layer, part), done)

    def _see_layer(
        self, name: str, _: nn.Module, inputs: tuple[torch.Tensor, ...], y: torch.Tensor
    ) -> None:
        self.layers.setdefault(name, Similarity(self.cka)).update(inputs[0], y)
        block = parent(name)
        similarity = self.blocks.setdefault(block, Similarity(self.cka))
        members = [other for other in self._gated if parent(other) == block]
        if name == members[0]:
            self._entered[block] = inputs[0]
        if name == members[-1]:
            x = self._entered.pop(block, None)  # None: the last one ran first
            if x is not None and x.shape == y.shape:  # or tokens were dropped for good
                similarity.update(x, y)

    def _see_bottleneck(
        self, _: nn.Module, inputs: tuple[torch.Tensor, ...], y: torch.Tensor
    ) -> None:
        x = inputs[0]  # (B, C, *S)
        if x.shape == y.shape:
            self.bottleneck.update(x.flatten(2).mT, y.flatten(2).mT)


def parent(name: str) -> str:
    """`tokens.2.layers.0` -> `tokens.2.layers`, the block that the layer is in."""
    return name.rpartition(".")[0]
