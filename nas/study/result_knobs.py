"""Networks of results, read from their records: their knobs and their pictures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from nas.config.nested import leaves
from nas.pareto.result import Result
from search_spaces.space import ArchitectureError, Option, SearchSpace, to_params
from search_spaces.stages import Stage


@dataclass(frozen=True)
class Network:
    """`knobs`: what was chosen, by path; a knob that was not asked for is not there. `stages`: what
    a picture shows, where the space tells it."""

    knobs: Mapping[str, Option]
    stages: tuple[Stage, ...]


def network_of(result: Result, space: SearchSpace | None) -> Network:
    """What the record of a result tells.

    Without a `space`, or where the record is none of its points (another version wrote it), every
    value of the record is a knob, and there is no picture.
    """
    return _network(json.dumps(result.architecture), space)


@lru_cache(maxsize=4096)  # a search writes its page again and again
def _network(record: str, space: SearchSpace | None) -> Network:
    values = json.loads(record)
    if space is not None:
        try:
            architecture = space.from_json(values)
        except ArchitectureError:
            pass
        else:
            return Network(to_params(architecture), tuple(architecture.picture()))
    return Network(dict(leaves(values)), ())
