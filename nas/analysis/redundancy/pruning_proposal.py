"""The same architecture without its most redundant sub-layers.

What a space has to do for it: its architectures have a field named `gate` for every gated layer of
their networks, in the order in which those are built.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from nas.analysis.redundancy.analysis import SubLayer, spaces_with, sublayer_count
from nas.analysis.redundancy.layer_hooks import PARTS, gated_layers, kept_parts
from search_spaces.registry import find_space
from search_spaces.space import Architecture, RandomTrial, axes_of, path_pattern, to_params
from trainers.errors import UserError

GATE, NONE = "gate", "none"
QUARTER = 4


@dataclass(frozen=True)
class Proposal:
    """`architecture` lacks the sub-layers `closed`, the most redundant first."""

    architecture: Architecture
    closed: tuple[SubLayer, ...]


def check_count(count: int | None, sublayers: int) -> int:
    """How many of the sub-layers to drop: about a quarter where `count` is None.

    Raises UserError where there are none, and where there are fewer than `count`.
    """
    if not sublayers:
        raise UserError(
            "this network has no transformer layers to compare; there are some in networks of "
            f"{', '.join(spaces_with(sublayer_count))}"
        )
    if count is None:
        return max(1, round(sublayers / QUARTER))
    if not 1 <= count <= sublayers:
        raise UserError(f"--prune {count}: expected 1 to {sublayers}, the sub-layers there are")
    return count


def propose(
    architecture: Architecture, network: nn.Module, ranked: Sequence[SubLayer], count: int
) -> Proposal | None:
    """Close the gates of the first `count` of `ranked` that the space allows to be closed.

    `network` was built by `architecture`. None where the architecture has no gates for its layers,
    or allows none of them to be closed.
    """
    gates = gate_paths(architecture, network)
    if not gates:
        return None
    space = find_space(architecture.space)
    options = {knob.name: knob.options for knob in space.knobs()}
    params = to_params(architecture.canonical())
    closed: list[SubLayer] = []
    for sublayer in ranked:
        path = gates[sublayer.layer]
        gate = gate_without(str(params[path]), sublayer.part)
        if len(closed) < count and gate in options[path_pattern(path)]:
            params[path] = gate
            closed.append(sublayer)
    if not closed:
        return None
    return Proposal(
        space.on(axes_of(architecture)).sample(RandomTrial(answers=params)), tuple(closed)
    )


def gate_paths(architecture: Architecture, network: nn.Module) -> dict[str, str]:
    """The field that decides each working gated layer: `{"tokens.2.layers.0": "tokens.0..."}`.

    Fields and layers are matched in order. Empty where they do not match one to one, gate for gate.
    """
    answers = to_params(architecture.canonical())
    gates = {p: v for p, v in answers.items() if p.rpartition(".")[2] == GATE and v != NONE}
    layers = {n: gate_of(kept_parts(layer)) for n, layer in gated_layers(network).items()}
    working = {name: gate for name, gate in layers.items() if gate != NONE}
    if list(gates.values()) != list(working.values()):
        return {}
    return dict(zip(working, gates, strict=True))


def gate_of(parts: Sequence[str]) -> str:
    """The gate that keeps these parts."""
    if len(parts) == len(PARTS):
        return "both"
    return parts[0] if parts else NONE


def gate_without(gate: str, part: str) -> str:
    """The gate that keeps what `gate` keeps, but `part`."""
    kept = PARTS if gate == "both" else (gate,)
    return gate_of([other for other in kept if other not in (part, NONE)])
