"""`segnas search`."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from time import monotonic, time
from typing import TYPE_CHECKING

from rich.prompt import Confirm

from nas.cli import arguments
from nas.cli.arguments import path
from nas.cli.console import note
from nas.cli.planning import planned_file, search_name
from nas.report.safe_console import SafeConsole
from trainers.errors import UserError

if TYPE_CHECKING:
    from nas.config.run_config import RunConfig
    from nas.search.stages import Stages

HELP = "search architectures on a dataset"


def add_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "config",
        type=path,
        metavar="DATA|CONFIG",
        help=f"{arguments.DATA}, for which a search is planned first; or a YAML file",
    )
    arguments.add_hours(command)
    command.add_argument(
        "--dir", type=path, help="the search's folder (default: runs/NAME); an old one goes on"
    )
    command.add_argument(
        "--resume",
        action="store_true",
        help="go on with the search in the folder, without asking; there must be one",
    )
    command.add_argument(
        "--address",
        metavar="auto|HOST:PORT|ray://HOST:PORT",
        help="a Ray cluster to search on (default: this machine)",
    )
    arguments.add_settings(command)


def run(options: argparse.Namespace) -> int:
    if options.address and options.address.startswith("ray://"):
        note(f"Connecting to the Ray cluster at {options.address}")
        from nas.engine.remote_driver import drive

        return drive(options.address, _arguments(options))
    from nas.search.stages import Stages

    console = SafeConsole()
    with Stages(console, began=_process_began()) as stages:
        return _search(options, console, stages)


def _process_began() -> float:
    """When this process did, on the monotonic clock: imports are part of what a person waits."""
    import psutil

    return monotonic() - max(0.0, time() - psutil.Process().create_time())


def _search(options: argparse.Namespace, console: SafeConsole, stages: Stages) -> int:
    stages.begin(f"Reading {options.config}")
    from nas.config.run_config import RunConfig
    from nas.config.yaml_file import read_config
    from trainers.data.folder_source import LAYOUTS, check_no_data, is_data

    if is_data(options.config):
        directory = options.dir or Path("runs") / search_name(options.config)
        _check_resumed(directory, options.resume)
        plan = (directory, options.hours, options.settings, stages)
        config_file = planned_file(options.config, *plan)
        config = read_config(RunConfig, config_file, options.settings)
    else:
        if not options.config.exists():
            raise UserError(f"{options.config} is missing; expected {LAYOUTS}, or a YAML file")
        if options.hours is not None:
            raise UserError("--hours goes with a folder of data; in a YAML file it is search.hours")
        check_no_data(options.config)
        config = read_config(RunConfig, options.config, options.settings)
        directory = options.dir or Path("runs") / config.name
        _check_resumed(directory, options.resume)
    _warn_of_trials(config, options.settings)
    if not _agreed(directory, options.resume, stages):
        return 1
    stages.begin("Loading PyTorch, MONAI, Optuna and Ray")
    from nas.search.run import run_search

    outcome = run_search(config, directory, console, options.address, stages=stages)
    return 0 if outcome.members else 1


def _warn_of_trials(config: RunConfig, settings: Sequence[str]) -> None:
    if config.search.budget == "hours" and any(s.startswith("search.trials=") for s in settings):
        warnings.warn(
            "--set search.trials ends nothing where search.budget is hours; set search.hours, or "
            "search.budget=trials",
            stacklevel=2,
        )


def _check_resumed(directory: Path, resume: bool) -> None:
    from nas.study.search_folder import JOURNAL

    if resume and not (directory / JOURNAL).exists():
        raise UserError(
            f"--resume: {directory} holds no search; expected its folder (--dir), or leave it "
            "out to begin a search"
        )


def _agreed(directory: Path, resume: bool, stages: Stages) -> bool:
    """Whether to go on: an old search in the folder is offered to a person at a terminal."""
    from nas.study.search_folder import JOURNAL

    if resume or not (directory / JOURNAL).exists() or not sys.stdin.isatty():
        return True
    stages.end()
    try:
        return Confirm.ask(f"{directory} holds a search already. Go on with it?", default=True)
    except EOFError:  # Ctrl-D
        return False


def _arguments(options: argparse.Namespace) -> list[str]:
    """The same command for a driver on the cluster, where paths are the cluster's."""
    told = ["search", str(options.config)]
    if options.dir:
        told += ["--dir", str(options.dir)]
    if options.resume:
        told.append("--resume")
    if options.hours is not None:
        told += ["--hours", str(options.hours)]
    for setting in options.settings:
        told += ["--set", setting]
    return told
