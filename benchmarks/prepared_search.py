"""The data and the recipe of a search that was planned, for benchmarks that train on them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from nas.analysis.plan.networks import presets_on
from nas.config.data_space import space_for
from nas.config.run_config import RunConfig
from nas.config.yaml_file import read_config
from search_spaces.space import Architecture
from trainers.data.cache import VolumeCache

PLAN, RECORDED = "plan.yaml", "config.yaml"


def read_plan(folder: Path, settings: Iterable[str] = ()) -> RunConfig:
    """The configuration in the folder of a search, changed by `key=value` settings.

    That of a search that has begun, else its plan (`segnas init DATA --to FOLDER/plan.yaml`).
    """
    recorded = (folder / RECORDED).exists()
    file = folder / (RECORDED if recorded else PLAN)
    return read_config(RunConfig, file, settings, recorded=recorded)


def network_on(name: str, config: RunConfig, cache: VolumeCache) -> Architecture:
    """The preset as a search of these data would begin with it."""
    size, classes = cache.prepared_voxel_size, len(cache.classes)
    [network] = presets_on([name], space_for(config.space, size, config.train.patch, classes))
    return network
