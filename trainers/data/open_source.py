"""From a configuration to a source that can be used, without reading a volume."""

from pathlib import Path

from trainers.data.names import check_names
from trainers.data.source import DataSource, SourceConfig


def open_source(config: SourceConfig, workdir: Path) -> DataSource:
    """The source, whose classes and modalities have good names, and an intensity each.

    Raises UserError.
    """
    source = config.open(workdir)
    check_names(source)
    config.preprocess.of_channels(source.modalities)
    return source
