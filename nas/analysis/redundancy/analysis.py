"""The redundancy of a trained network's layers, measured over volumes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from torch import nn

from nas.analysis.redundancy.layer_hooks import (
    Output,
    Part,
    Probe,
    gated_layers,
    kept_parts,
    parent,
)
from nas.analysis.redundancy.similarity import Centring, Scores
from nas.cost.count import count_params
from search_spaces.meta_network import build_on_meta
from search_spaces.registry import all_spaces
from trainers.data.check.facts import Progress
from trainers.inference import Ensemble, Mirrored
from trainers.segmenter import Segmenter
from trainers.volumes.files import Image, files_of


@dataclass(frozen=True)
class SubLayer:
    """A mixer or MLP. `layer`: the module name of its layer; `block`, `position`: counted from 1.

    `with_norm`: the input before LN against the output; `without_norm`: the input after LN.
    `params`: what goes with it, its LN included.
    """

    layer: str
    part: Part
    block: int
    position: int
    with_norm: Scores
    without_norm: Scores
    params: int

    @property
    def redundancy(self) -> float | None:
        """What sub-layers are ranked by: the mean of angular similarity and CKA with the LN.

        With the LN, because that is what a closed gate leaves out: LN and sub-layer together.
        """
        return self.with_norm.mean


@dataclass(frozen=True)
class Layer:
    """A whole gated layer, its input against its output."""

    name: str
    block: int
    position: int
    scores: Scores


@dataclass(frozen=True)
class Block:
    """Layers with a common parent module: the first one's input against the last one's output."""

    name: str
    block: int
    scores: Scores


@dataclass(frozen=True)
class Redundancy:
    """All similarities of one network; blocks, layers and sub-layers in the order of execution.

    `bottleneck`: of the convolutions below the blocks, where the network has any.
    """

    output: Output
    volumes: tuple[str, ...]
    blocks: tuple[Block, ...]
    layers: tuple[Layer, ...]
    sublayers: tuple[SubLayer, ...]
    bottleneck: Scores | None = None
    cka: Centring = "centred"

    def ranked(self) -> list[SubLayer]:
        """The sub-layers, most redundant first; those without a redundancy are left out."""
        known = [s for s in self.sublayers if s.redundancy is not None]
        return sorted(known, key=lambda s: s.redundancy or 0.0, reverse=True)

    def to_json(self) -> dict[str, Any]:
        return {
            **asdict(self),
            "sublayers": [{**asdict(s), "redundancy": s.redundancy} for s in self.sublayers],
        }


def analyse(
    segmenter: Segmenter,
    volumes: Sequence[Image],
    output: Output = "residual",
    cka: Centring = "centred",
    progress: Progress = lambda *_: None,
) -> Redundancy:
    """Segment `volumes` as `predict` does, window by window, and measure the layers meanwhile.

    Raises UserError for unusable volumes.
    """
    network = plain_network(segmenter)
    segmenter = replace(segmenter, network=network)
    with Probe(network, output, cka) as probe:
        for done, volume in enumerate(volumes, start=1):
            segmenter.segment(volume)
            progress(done, len(volumes), "measured")
    return _collect(network, probe, [files_of(volume)[0].name for volume in volumes])


def plain_network(segmenter: Segmenter) -> nn.Module:
    """The segmenter's network without mirroring, whose passes would only repeat the measurement.

    Of an ensemble, whose networks are of one architecture, the first.
    """
    network = segmenter.network
    if isinstance(network, Mirrored):
        network = network.network
    return network.networks[0] if isinstance(network, Ensemble) else network


def sublayer_count(network: nn.Module) -> int:
    """How many mixers and MLPs its gated layers have."""
    return sum(len(kept_parts(layer)) for layer in gated_layers(network).values())


def spaces_with(what: Callable[[nn.Module], object]) -> list[str]:
    """The spaces with presets whose networks have it, and the first such preset of each."""
    found = []
    for space in all_spaces().values():
        for name, preset in space.presets().items():
            if what(build_on_meta(preset, 1, 2)):
                found.append(f"{space.name} (such as {name})")
                break
    return found


def _collect(network: nn.Module, probe: Probe, volumes: Sequence[str]) -> Redundancy:
    gated = gated_layers(network)
    numbers = {name: number for number, name in enumerate(probe.blocks, start=1)}
    places, sublayers = {}, []
    for name in probe.layers:
        siblings = [other for other in gated if parent(other) == parent(name)]
        places[name] = (numbers[parent(name)], 1 + siblings.index(name))
        for part in kept_parts(gated[name]):
            with_norm, without_norm = (sums.scores() for sums in probe.parts[name, part])
            modules = (getattr(gated[name], attribute) for attribute in (f"{part}_norm", part))
            params = sum(map(count_params, modules))
            sublayers.append(SubLayer(name, part, *places[name], with_norm, without_norm, params))
    return Redundancy(
        output=probe.output,
        volumes=tuple(volumes),
        blocks=tuple(Block(n, numbers[n], sums.scores()) for n, sums in probe.blocks.items()),
        layers=tuple(Layer(n, *places[n], sums.scores()) for n, sums in probe.layers.items()),
        sublayers=tuple(sublayers),
        bottleneck=probe.bottleneck.scores() if probe.bottleneck.tokens else None,
        cka=probe.cka,
    )
