"""From a front member to a folder that can be retrained and used, with nothing else at hand."""

from __future__ import annotations

import json
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

from nas.config.yaml_file import write_config
from nas.export.export_folder import (
    CONFIG,
    INHERITED_WEIGHTS,
    SPLIT,
    TRIAL_WEIGHTS,
    ExportConfig,
)
from nas.export.model_card import write_card
from nas.export.shared_weights import SharedWeights
from nas.pareto.result import Result
from nas.study.search_folder import checkpoint_in, search_id
from search_spaces.registry import ARCHITECTURE, architecture_record
from trainers.atomic import fill_folder, new_folder
from trainers.checkpoint import write_checkpoint
from trainers.data.source import SourceConfig
from trainers.errors import UserError

PACKAGES = ("segnas", "torch", "monai")
UNKNOWN = ("curve", "train_seconds", "worker_seconds")  # to a front, which members are read from


def write_export(
    search: Path,
    member: Result,
    settings: ExportConfig,
    to: Path,
    shared: SharedWeights | None = None,
) -> None:
    """Fill the folder `to` with the member's architecture, configuration, split and weights.

    `settings`: what `export_settings` made of the search's. `shared`: the weights that its
    candidates began with, where they share any; those of a candidate are written, too. Raises
    UserError where `to` holds something already or cannot be written, or the search lost the
    member's weights; nothing is written then, nor where anything else is raised.
    """
    new_folder(to)
    architecture, weights = member.network(), checkpoint_in(search, member.name)
    if not weights.is_file():
        raise UserError(f"{weights} is missing: the trial's weights were removed from the search")
    record = {
        **architecture_record(architecture),
        "result": {n: value for n, value in member.to_json().items() if n not in UNKNOWN},
        "origin": _origin(search, settings.name, member),
    }
    inherited = None
    if shared and not member.compressed and shared.knows(architecture):
        inherited = shared.open().cut(architecture)
    movable = {"name": f"{settings.name}-{member.name}", "data": _movable(settings.data, search)}
    export = settings.model_copy(update=movable)

    def build(folder: Path) -> None:
        (folder / ARCHITECTURE).write_text(json.dumps(record, indent=1))
        shutil.copyfile(search / SPLIT, folder / SPLIT)
        shutil.copyfile(weights, folder / TRIAL_WEIGHTS)
        if inherited is not None:
            write_checkpoint(folder / INHERITED_WEIGHTS, {"weights": inherited.state_dict()})
        write_config(export, folder / CONFIG)
        write_card(folder)

    try:
        fill_folder(to, build)
    except OSError as error:
        raise UserError(f"{to} cannot be filled: {error.strerror or error}") from error


def _origin(search: Path, name: str, member: Result) -> dict[str, Any]:
    """The search that the export comes from, the trial that it was made of, if it was made smaller,
    and the versions it was made with."""
    versions = {package: version(package) for package in PACKAGES}
    trial = {"trial": member.compressed["of"]} if member.compressed else {}
    return {**trial, "search": name, "search_id": search_id(search), "versions": versions}


def _movable(data: SourceConfig, search: Path) -> SourceConfig:
    """The same data with absolute paths, so that it is found from any working directory."""
    cache = data.cache_folder(search).resolve()
    return data.portable().model_copy(update={"split": Path(SPLIT), "cache": cache})
