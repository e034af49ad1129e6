"""The table: networks that were trained once, with the Dice of every epoch."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from nas.config.data_space import DataSpace, space_for
from nas.config.run_config import RunConfig
from trainers.errors import UserError


@dataclass(frozen=True)
class Network:
    """One trained network. `costs`: params, macs and, where it was measured, latency_ms.

    `curves`: the Dice of every epoch, one curve a training seed; `seconds` is one epoch's time.
    """

    key: str
    architecture: Mapping[str, Any]
    costs: Mapping[str, float]
    seconds: float
    curves: tuple[tuple[float, ...], ...]

    def curve(self, seed: int) -> tuple[float, ...]:
        """What the search of this seed sees: one of the trainings."""
        return self.curves[seed % len(self.curves)]


@dataclass(frozen=True)
class Table:
    """Every network of a restricted space by its key; `config` is the search that it belongs to.

    `voxel_size`: of the volumes, mm; None where axes are alike.
    """

    networks: Mapping[str, Network]
    config: Mapping[str, Any] = field(repr=False)
    voxel_size: Sequence[float] | None = None

    @property
    def epochs(self) -> int:
        """The length of every training."""
        return len(next(iter(self.networks.values())).curve(0))

    @cached_property
    def within(self) -> DataSpace:
        """The restricted space, for volumes of this voxel size."""
        config = RunConfig.model_validate(self.config)
        return space_for(config.space, self.voxel_size, config.train.patch)


COSTS = ("params", "macs", "latency_ms")


def load_table(path: Path) -> Table:
    """Read the JSON of benchmarks/table/. Raises UserError where its curves differ in length."""
    try:
        values = json.loads(path.read_text())
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}") from error
    networks = {
        row["key"]: Network(
            row["key"],
            row["architecture"],
            {cost: row[cost] for cost in COSTS if cost in row},
            row["seconds_per_epoch"],
            tuple(tuple(curve) for curve in row["dice"]),
        )
        for row in values["networks"]
    }
    lengths = {len(curve) for network in networks.values() for curve in network.curves}
    if len(lengths) != 1:
        raise UserError(
            f"{path} has curves of {sorted(lengths)} epochs; every training must be equally long"
        )
    unread = {"name": "table", "data": {"source": "phantom"}}  # every search names some
    return Table(networks, {**unread, **values["config"]}, values.get("voxel_size"))
