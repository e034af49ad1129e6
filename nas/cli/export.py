"""`segnas export`: from a front member to a folder."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING

from nas.cli import arguments
from nas.cli.arguments import path
from nas.cli.console import note, say

if TYPE_CHECKING:
    from nas.config.run_config import RunConfig
    from nas.pareto.result import Result

HELP = "turn a front member into a folder to retrain and use"


def add_arguments(command: argparse.ArgumentParser) -> None:
    arguments.add_search_folder(command)
    command.add_argument(
        "--pick",
        required=True,
        metavar="KEY|best-dice|knee|smallest|fastest",
        help="which member; the start of a key is enough",
    )
    arguments.add_within(command)
    command.add_argument("--to", type=path, required=True, metavar="OUT", help="a new folder")
    command.add_argument(
        "--register", metavar="NAME", help="also a version of this model in MLflow's registry"
    )
    command.add_argument(
        "--alias", default="champion", help="which that version then has (default: champion)"
    )


def run(options: argparse.Namespace) -> int:
    from nas.report.terminal_tables import shell_path
    from nas.search.notebook import open_search

    search = open_search(options.dir)
    member = search.pick(options.pick, options.within)
    register = None if options.register is None else registration(options, search.config, member)
    search.export(member, options.to)
    say(
        f"{options.to}: {member.key}, Dice {member.dice:.4f}, {member.costs['params']:,} parameters"
    )
    if register:
        say(f"registered: {register()}")
    if told := search.config.short_retraining:
        from nas.export.export_folder import CONFIG

        note(f"{told}; raise train.epochs in {options.to / CONFIG}")
    say(f"next: segnas retrain {shell_path(options.to)}")
    return 0


def registration(
    options: argparse.Namespace, config: RunConfig, member: Result
) -> Callable[[], str]:
    """What registers the export once it is written, and returns how it is loaded.

    Raises UserError, before anything is written, where MLflow cannot be reached.
    """
    from nas.export.export_folder import Export
    from nas.export.model_card import CARD
    from nas.study.search_folder import search_id
    from nas.tracking.lookup import find_run
    from nas.tracking.model_registry import check_folder, check_names, register
    from nas.tracking.store import store_uri, without_password

    check_names(options.register, options.alias)
    if not config.tracking.uri:
        check_folder(options.dir)
    uri = store_uri(config.tracking, options.dir)
    run = find_run(config.tracking, options.dir, search_id(options.dir), member.name)

    def done() -> str:
        export = Export(options.to)
        version = register(
            export.segmenter().network,
            (export.config.task.channels, *export.trained.patch),
            uri=uri,
            run=run,
            name=options.register,
            alias=options.alias,
            tags={
                "key": member.key,
                "dice": str(member.dice),
                "params": str(member.costs["params"]),
            },
            card=(options.to / CARD).read_text(),
        )
        batch = "any batch" if version.free_batch else "batch 1"
        return f"{version.uri} is version {version.number} ({batch}), in {without_password(uri)}"

    return done
