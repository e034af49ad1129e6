"""The `segnas` command."""

from __future__ import annotations

import argparse
import difflib
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from io import TextIOWrapper
from typing import Any

from rich.markup import escape

from nas.cli.console import NOTES
from nas.report.safe_console import SafeConsole
from search_spaces.space import ArchitectureError
from trainers.errors import UserError
from trainers.signals import hearing

# Modules beside this one, each with HELP, add_arguments and run; help lists them in this order.
COMMANDS = (
    "fetch",
    "check",
    "init",
    "preview",
    "search",
    "sync",
    "ui",
    "front",
    "compare",
    "report",
    "confirm",
    "export",
    "retrain",
    "postprocess",
    "compress",
    "join",
    "evaluate",
    "predict",
    "deploy",
    "redundancy",
    "explain",
    "cost",
    "latency",
    "probe",
    "spaces",
    "presets",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns 0 done, 1 not done, 2 bad input, 130 interrupted."""
    if isinstance(sys.stdout, TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="replace")  # a sign that the terminal lacks ends nothing
    given, commands = sys.argv[1:] if arguments is None else arguments, parser()
    if given and not given[0].startswith("-") and given[0] not in COMMANDS:
        near = difflib.get_close_matches(given[0], COMMANDS, n=1)
        hint = f"Did you mean {near[0]}?" if near else "segnas -h lists them"
        commands.error(f"{given[0]!r} is no command. {hint}")
    options = commands.parse_args(given)
    warnings.showwarning = _show_warning
    return one_line_errors(partial(options.run, options))


def one_line_errors(run: Callable[[], int | None]) -> int:
    """What `run` returns, 0 for None. What a person can mend is told in a line, and is 2; also for
    programs besides this one."""
    try:
        with hearing(_interrupt):
            return run() or 0
    except KeyboardInterrupt:
        NOTES.print("interrupted")
        return 130
    except BrokenPipeError:  # the reader of a pipe has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (UserError, ArchitectureError, OSError) as error:  # OSError: a full disk and the like
        text = f"[bold red]error:[/] {escape(_told(error))}"
        NOTES.print(text, markup=True, highlight=False, soft_wrap=True)
        return 2


def _interrupt() -> None:
    raise KeyboardInterrupt


def _told(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error)


def parser() -> argparse.ArgumentParser:
    """All commands with their arguments."""
    parser = argparse.ArgumentParser(
        prog="segnas",
        description="Find small, fast 3D medical segmentation networks for your data and device.",
    )
    parser.add_argument("--version", nargs=0, action=_Version, help="show the version and exit")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for name in COMMANDS:
        module = import_module(f"nas.cli.{name}")
        command = commands.add_parser(name, help=module.HELP, description=module.HELP)
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    return parser


class _Version(argparse.Action):
    """Looks the version up where it is asked for: that takes a command's start."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        print(f"segnas {version('segnas')}")
        parser.exit()


def _show_warning(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
    if issubclass(category, UserWarning):
        # A live display puts itself in the place of sys.stderr, and prints above itself what is
        # written there; a console of rich goes past it, and its lines would be drawn over.
        console = SafeConsole(stderr=True)
        with console.capture() as printed:
            text = f"[yellow]warning:[/] {escape(str(message))}"
            console.print(text, markup=True, highlight=False, soft_wrap=True)
        sys.stderr.write(printed.get())
