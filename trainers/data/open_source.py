"""From a configuration to a source that can be used, without reading a volume."""

from pathlib import Path

from trainers.data.dataset import Dataset
from trainers.data.names import check_names
from trainers.data.source import DataSource, SourceConfig
from trainers.data.targets import configured_targets


def open_source(config: SourceConfig, workdir: Path) -> DataSource:
    """The source, whose classes, regions and modalities have good names, and an intensity each.

    Raises UserError.
    """
    source = config.open(workdir)
    keys = config.regions, config.regions_class_order, config.ignore
    targets = configured_targets(source.targets, *keys, source.described_by)
    if targets != source.targets:
        source = Dataset.like(source, source.cases, targets)
    check_names(source)
    config.preprocess.of_channels(source.modalities)
    return source
