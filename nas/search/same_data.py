"""Whether data are those that a search began with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nas.study.resume_check import FILES
from nas.study.search_folder import recorded_settings
from trainers.data.cache import VolumeCache


def files_of_search(directory: Path, caches: Path, cache: VolumeCache, names: Sequence[str]) -> str:
    """The fingerprint that the search in `directory` records of its data, if it goes on with
    `cache`; that of `cache` where it records none, or had other data.

    Files that were copied have other times and the same voxels, which the volumes that were
    prepared at its start tell while they lie in `caches`. `names`: of the cases that count.
    """
    own = cache.folder.name
    recorded = recorded_settings(directory).get(FILES, own)
    if recorded == own:
        return own
    try:
        before = VolumeCache.open(caches / recorded)
    except (OSError, ValueError, KeyError, TypeError):  # removed, or of another version
        return own
    return recorded if alike(cache, before, names) else own


def alike(one: VolumeCache, other: VolumeCache, names: Sequence[str]) -> bool:
    """Whether two caches hold the same cases: all have the same shapes and as many voxels of every
    class, and those of `names` the same voxels."""
    if one.folder.name == other.folder.name:  # by name, size and time of every file
        return True
    return one.entries == other.entries and all(
        np.allclose(one.image(name), other.image(name), atol=1e-3)
        and np.array_equal(one.label(name), other.label(name))
        for name in names
    )
