"""Whether data are those that a search began with, or those of another search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from nas.report.search_record import SearchRecord
from nas.study.resume_check import DATA, FILES
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
    before = _opened(caches / recorded)
    return recorded if before and alike(cache, before, names) else own


def with_files_of_first(
    searches: Mapping[str, SearchRecord], caches: Mapping[str, Path]
) -> dict[str, SearchRecord]:
    """The searches, each with the first one's fingerprint of the data where theirs are the same.

    Files that were copied, or made by each search for itself as of DICOM, have other times and the
    same voxels, which the volumes that were prepared for both tell while they lie in `caches`.
    """
    first = next(iter(searches))
    return {
        name: record
        if name == first
        else _like(searches[first], record, caches[first], caches[name])
        for name, record in searches.items()
    }


def _like(one: SearchRecord, other: SearchRecord, own: Path, theirs: Path) -> SearchRecord:
    names = [record.settings.get(FILES) for record in (one, other)]
    data = one.settings.get(DATA)
    if None in names or data != other.settings.get(DATA):
        return other
    first, second = _opened(own / str(names[0])), _opened(theirs / str(names[1]))
    parts = (data or {}).get("split", {})
    counted = [*parts.get("training", ()), *parts.get("validation", ())]
    if not (first and second and alike(first, second, counted)):
        return other
    return replace(other, settings={**other.settings, FILES: names[0]})


def _opened(folder: Path) -> VolumeCache | None:
    """None where it was removed, or is of another version."""
    try:
        return VolumeCache.open(folder)
    except (OSError, ValueError, KeyError, TypeError):
        return None


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
