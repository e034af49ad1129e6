"""The front door: from a configuration to volumes and the cases of each part."""

import hashlib
from functools import partial
from pathlib import Path

from trainers.atomic import make_folder
from trainers.data.cache import VolumeCache, build_cache
from trainers.data.check import Progress
from trainers.data.config import MsdData, Phantom, PhantomData
from trainers.data.msd import Dataset, read_msd
from trainers.data.phantom import make_phantom
from trainers.data.splits import Cases, split_cases


def prepare_data(
    config: MsdData | PhantomData, workdir: Path, progress: Progress | None = None
) -> tuple[VolumeCache, Cases]:
    """Generate (phantoms), read, split, check and cache; what was done before is not done again.

    `workdir` gets the phantoms, and the cache unless `config.cache` names another folder.
    Raises UserError for data or a split that cannot be used.
    """
    dataset = find_dataset(config, workdir)
    cases = split_cases((case.name for case in dataset.cases), config.split)
    cache = build_cache(dataset, config.preprocess, config.cache or workdir / "cache", progress)
    return cache, cases


def find_dataset(config: MsdData | PhantomData, workdir: Path) -> Dataset:
    """The data set as its files are, phantoms made in `workdir` unless they are there.

    Raises UserError where there is none.
    """
    return read_msd(
        config.path if isinstance(config, MsdData) else _phantom(config, workdir / "phantom")
    )


def _phantom(config: PhantomData, folder: Path) -> Path:
    """A folder for each set of phantoms, made once."""
    phantom = Phantom(**config.model_dump(include=set(Phantom.model_fields)))
    key = hashlib.sha256(phantom.model_dump_json().encode()).hexdigest()[:16]
    return make_folder(folder / key, partial(make_phantom, phantom))
