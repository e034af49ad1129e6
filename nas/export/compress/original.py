"""What is made smaller."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from nas.export.export_folder import Export
from nas.export.retrain import check_task
from trainers.data.cache import VolumeCache
from trainers.data.check import Progress
from trainers.data.prepare import prepare_data
from trainers.data.splits import Cases


@dataclass(frozen=True)
class Original:
    """An export, its network in use, and its data as they are prepared."""

    export: Export
    network: nn.Module
    cache: VolumeCache
    cases: Cases

    @classmethod
    def open(cls, export: Export, progress: Progress | None = None) -> Original:
        """Raises UserError where the data are no longer those of the export's task."""
        cache, cases = prepare_data(export.config.data, export.folder, progress)
        check_task(export, cache)
        return cls(export, export.network(), cache, cases)
