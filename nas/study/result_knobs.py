"""Networks of results, read from their records: their knobs and their pictures."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from nas.config.nested import leaves
from nas.pareto.result import Result
from search_spaces.axes import ALIKE
from search_spaces.compressed import Compressed
from search_spaces.registry import find_space
from search_spaces.space import (
    Architecture,
    ArchitectureError,
    AxialArchitecture,
    Option,
    SearchSpace,
    to_params,
)
from search_spaces.stages import Stage, along_axes


@dataclass(frozen=True)
class Network:
    """`knobs`: what was chosen, by path; a knob that was not asked for is not there. `stages`: what
    a picture shows, where the space tells it. `alike`: the key of the same choices with all axes
    alike, by which presets are known."""

    knobs: Mapping[str, Option]
    stages: tuple[Stage, ...]
    alike: str = ""


def network_of(result: Result, space: SearchSpace | None) -> Network:
    """What the record of a result tells.

    Without a `space`, or where the record is none of its points (another version wrote it), every
    value of the record is a knob, and there is no picture.
    """
    return network_in(result.architecture, space)


def network_in(architecture: Mapping[str, Any], space: SearchSpace | None) -> Network:
    """The same of an architecture's own record."""
    return _network(json.dumps(architecture), space)


def network_beside(result: Result) -> Network:
    """Of a result that is no point of the search's space; a compressed one as its original is."""
    values, space = result.architecture, result.space
    if space == Compressed.space:
        space, values = values["original"]["space"], values["original"]["architecture"]
    return network_of(replace(result, architecture=values), find_space(space))


@cache  # a search writes its page again and again, of all its networks in their order
def _network(record: str, space: SearchSpace | None) -> Network:
    values = json.loads(record)
    if space is not None:
        try:
            architecture = space.from_json(values)
        except ArchitectureError:
            pass
        else:
            alike = architecture.with_axes(ALIKE).key
            return Network(to_params(architecture), tuple(_stages(architecture)), alike)
    return Network(dict(leaves(values)), ())


def _stages(architecture: Architecture) -> Sequence[Stage]:
    stages = architecture.picture()
    if isinstance(architecture, AxialArchitecture) and architecture.axes != ALIKE:
        return along_axes(stages, architecture.own_axes)
    return stages
