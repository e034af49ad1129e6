"""`segnas ui`: a search in MLflow's pages."""

from __future__ import annotations

import argparse
from pathlib import Path

from nas.cli import arguments
from nas.cli.console import note, say

HELP = "show a search in MLflow's pages, on this machine"


def add_arguments(command: argparse.ArgumentParser) -> None:
    arguments.add_search_folder(command)
    command.add_argument("--port", type=port, help="default: 5000, or a free one if that is taken")
    command.add_argument(
        "--host", default="127.0.0.1", help="address to serve on (default: 127.0.0.1, loopback)"
    )


def port(text: str) -> int:
    """That of a server."""
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r}; expected 1 to 65535")
    return int(text)


def run(options: argparse.Namespace) -> int:
    """Run `segnas ui`: until Ctrl-C, or only printing the link where a server is there already."""
    from nas.config.run_config import RunConfig
    from nas.config.yaml_file import read_config
    from nas.study.search_folder import search_id
    from nas.tracking.description import front_path
    from nas.tracking.lookup import find_run
    from nas.tracking.server import served
    from nas.tracking.store import without_password
    from trainers.errors import UserError

    directory: Path = options.dir
    name = search_id(directory)
    config = read_config(RunConfig, directory / "config.yaml", recorded=True).tracking
    path = front_path(*find_run(config, directory, name))
    if config.uri:
        if not config.uri.startswith("http"):
            raise UserError(
                f"tracking.uri = {without_password(config.uri)}: no server to open; start one with "
                "mlflow server --backend-store-uri and that address"
            )
        say(f"{without_password(config.uri).rstrip('/')}/{path}")
        return 0
    try:
        note("Starting MLflow, which takes some seconds")
        with served(directory, options.host, options.port) as (url, process):
            say(f"{url}/{path}")
            note("Ctrl-C ends it")
            process.wait()
        note("MLflow's server ended")
        return 1
    except KeyboardInterrupt:
        note("ended")
        return 0
