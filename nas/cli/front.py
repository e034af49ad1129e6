"""`segnas front`: the members of a search's front."""

from __future__ import annotations

import argparse
import json
import shlex
from dataclasses import replace

from nas.cli import arguments
from nas.cli.console import note, print_wide, say
from nas.report.safe_console import SafeConsole

HELP = "show the Pareto front of a search"


def add_arguments(command: argparse.ArgumentParser) -> None:
    arguments.add_search_folder(command)
    arguments.add_within(command)
    command.add_argument(
        "--plot", action="store_true", help="draw Dice against each cost in the terminal"
    )
    command.add_argument(
        "--all", action="store_true", help="also members whose Dice is below 0.9 of the best"
    )
    arguments.add_json(command)


def run(options: argparse.Namespace) -> int:
    from nas.pareto.front_files import front_json, read_front
    from nas.pareto.limits import filter_by_limits, parse_limits
    from nas.pareto.reference import above_reference
    from nas.report.terminal_tables import front_table, left_out

    front = read_front(options.dir)
    if options.within is not None:
        limits = parse_limits(options.within)
        baselines, compressed = (
            [each for each in beside if all(limit.holds(each) for limit in limits)]
            for beside in (front.baselines, front.compressed)
        )
        members = filter_by_limits(front.members, limits)
        front = replace(front, members=members, baselines=baselines, compressed=compressed)
    if options.json:
        print(json.dumps(front_json(front)))
        return 0
    if front.members or front.beside:
        print_wide(front_table(front, options.plot, options.all, counting=False))
        if not options.all and (told := left_out(front, _command(options))):
            say(told)
    if not front.members:
        note("the front is empty so far: no network was trained to the end, or all that were wait")
        return 0
    if options.plot:
        shown = front.members if options.all else above_reference(front.members)
        from nas.cli.front_chart import front_chart
        from nas.pareto.objectives import costs_among

        for cost in costs_among(front.objectives) or ["params"]:
            print(f"\n{front_chart(shown, cost, min(SafeConsole().width, 100))}")
    return 0


def _command(options: argparse.Namespace) -> str:
    from nas.report.terminal_tables import shell_path

    limits = "" if options.within is None else f" --within {shlex.quote(options.within)}"
    return f"segnas front {shell_path(options.dir)}{limits}"
