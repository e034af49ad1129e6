"""From a folder of data to the configuration of a search: what `init` and `search` share."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nas.cli.console import NOTES, note
from trainers.errors import UserError

if TYPE_CHECKING:
    from nas.search.stages import Stages

PLAN = "plan.yaml"  # in the folder of a search that was planned


def search_name(path: Path) -> str:
    """The path's last part, as far as a search may have it for a name."""
    name = path.stem if path.is_file() else path.resolve().name
    letters = "".join(c if c.isalnum() or c in "_.-" else "-" for c in name)
    return letters.lstrip(".-") or "search"


def make_plan_file(
    data: Path,
    name: str,
    directory: Path,
    hours: float | None,
    file: Path,
    command: str,
    stages: Stages,
    settings: Sequence[str] = (),
) -> None:
    """Plan the search `name` of `data` in `directory`, write it to `file`, tell it in a few lines.

    `command` is what goes by the file, changed by `settings`, which are no part of the plan.
    `stages` are told what takes its time. Raises UserError for a folder without usable data, and
    for settings that fit no plan.
    """
    from trainers.data.folder_source import source_of

    source = source_of(data, directory)

    from nas.config.run_config import RunConfig
    from nas.config.yaml_file import check_settings

    own = source.model_dump(mode="json", exclude={"preprocess", "split", "cache"})
    known = {"name": name, "data": own, "train": {"patch": [32, 32, 32]}}
    check_settings(RunConfig, known, settings)

    stages.begin("Loading PyTorch and MONAI")
    from nas.analysis.plan import make_plan
    from nas.search.progress_bars import Bars
    from trainers.atomic import output_folder, replace_files

    output_folder(directory)
    stages.begin(f"Looking at {data} and at this machine")
    with Bars(NOTES, stages=stages) as bars:
        plan = make_plan(source, name, directory, hours, bars.count)
    stages.end()
    asked = "" if hours is None else _asked(hours)
    replace_files({file: f"{plan.to_yaml(command)}{asked}".encode()})
    for line in plan.lines:
        note(line)


def planned_file(
    data: Path, directory: Path, hours: float | None, settings: Sequence[str], stages: Stages
) -> Path:
    """The plan in the folder of a search, which goes by it and by `settings`; made where there is
    none.

    Raises UserError where the folder holds a search that was not planned, or the plan is of other
    data or other `hours`.
    """
    from nas.config.yaml_file import read_yaml
    from nas.study.search_folder import JOURNAL

    file = directory / PLAN
    if not file.exists():
        if (directory / JOURNAL).exists():
            raise UserError(
                f"{directory} holds a search that has no {PLAN}; go on with its own YAML file, or "
                "give another folder (--dir)"
            )
        command = f"segnas search {shlex.quote(str(data))} goes by this file."
        make_plan_file(data, search_name(data), directory, hours, file, command, stages, settings)
        note(f"Wrote {file}: change it and run the same command to go by what it says")
        return file
    own = read_yaml(file).get("data")
    planned = Path(str(own.get("path"))).resolve() if isinstance(own, dict) else None
    if planned and data.resolve() not in (planned, planned.parent):  # a folder with a list in it
        raise UserError(f"{file} is a plan for {planned}; give another folder for {data} (--dir)")
    if hours is not None and _asked(hours) not in file.read_text(encoding="utf-8"):
        raise UserError(
            f"--hours {hours:g}: {file} is planned already; leave --hours out to go by it, change "
            "search.hours there, or remove it to plan anew"
        )
    stages.end()
    note(f"Goes by {file}")
    return file


def _asked(hours: float) -> str:
    """The line by which a plan knows that it is asked for again."""
    return f"# planned with --hours {hours:g}\n"
