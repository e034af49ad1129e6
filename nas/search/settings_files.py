"""The files in a search's folder that trials, exports and later commands read."""

from __future__ import annotations

from pathlib import Path

from nas.config.run_config import RunConfig
from nas.config.yaml_file import config_yaml
from trainers.atomic import replace_files
from trainers.data.cache import VolumeCache
from trainers.data.splits import Cases
from trainers.data.task import TASK, Task


def write_settings(config: RunConfig, directory: Path, cache: VolumeCache, cases: Cases) -> None:
    """The configuration, the split and the task, all or none; what is there already stays.

    Paths of the data are absolute: commands that read them may run in another working directory.
    Raises OSError with the old ones untouched, for instance where the disk is full.
    """
    portable = config.model_copy(update={"data": config.data.portable()})
    told = {
        "config.yaml": config_yaml(portable),
        "split.json": cases.to_json(),
        TASK: Task.of(cache, config.train).to_json(),
    }
    files = {directory / name: text.encode() for name, text in told.items()}
    replace_files({file: text for file, text in files.items() if not _holds(file, text)})


def _holds(file: Path, content: bytes) -> bool:
    return file.is_file() and file.read_bytes() == content
