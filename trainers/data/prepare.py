"""The front door: from a configuration to volumes and the cases of each part."""

from pathlib import Path

from trainers.data.build_cache import build_cache
from trainers.data.cache import VolumeCache
from trainers.data.check import Progress
from trainers.data.check.finding import refuse, warn
from trainers.data.check.parts import check_parts
from trainers.data.open_source import open_source
from trainers.data.source import SourceConfig
from trainers.data.source_split import split_source
from trainers.data.splits import Cases


def prepare_data(
    config: SourceConfig, workdir: Path, progress: Progress | None = None
) -> tuple[VolumeCache, Cases]:
    """List, split, check and cache the cases; what was done before is not done again.

    `workdir` gets what the source makes, such as phantoms, and the cache unless `config.cache`
    names another folder. Raises UserError for data or a split that cannot be used, and warns of
    what is doubtful in them, also where they were prepared before.
    """
    source = open_source(config, workdir)
    cases = split_source(source, config.split)
    cache = build_cache(source, config.preprocess, config.cache_folder(workdir), progress)
    check = cache.check()
    findings = [*check.findings, *check_parts(check.cases, source.targets, cases)]
    refuse(findings, source)
    warn(findings, source.folder, more=", which `segnas check` shows in full")
    return cache, cases
