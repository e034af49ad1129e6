"""`segnas cost`: what one network costs, before any training."""

from __future__ import annotations

import argparse
import json

from nas.cli import arguments
from nas.cli.console import print_wide, say
from nas.cli.network_argument import find_architecture

HELP = "count the parameters, work and memory of a network"


def add_arguments(command: argparse.ArgumentParser) -> None:
    arguments.add_network(command)
    arguments.add_training(command)
    ways = command.add_mutually_exclusive_group()
    ways.add_argument(
        "--convention",
        choices=("true", "published"),
        default="true",
        help="published: also as the paper behind the network's space counts",
    )
    ways.add_argument(
        "--audit",
        choices=("modules", "types"),
        nargs="?",
        const="modules",
        help="thop's count and torch's, by module (the default) or by type of module",
    )
    arguments.add_json(command)


def run(options: argparse.Namespace) -> int:
    from nas.cli.space_tables import cost_text, memory_text, published_text, work_json
    from nas.cost.count import cost_of
    from nas.cost.memory import memory_of

    architecture = find_architecture(options.network, options.input)
    channels, *patch = options.input
    task = architecture, channels, options.classes, tuple(patch)
    if options.audit:
        from nas.cli.audit_table import audit_table
        from nas.cost.audit import audit

        audited = audit(*task)
        if options.json:
            print(json.dumps({"key": architecture.key, **audited.to_json()}))
        else:
            print_wide(audit_table(audited, by_kind=options.audit == "types"))
        return 0
    cost, published = cost_of(*task), None
    memory = memory_of(*task, batch=options.batch, precision=options.precision)
    if options.convention == "published":
        from nas.cost.paper_conventions import published_count

        published = published_count(*task)
    if options.json:
        figures = {"params": cost.params, **work_json(cost), "memory": vars(memory)}
        paper = {} if published is None else {"published": published.to_json()}
        print(json.dumps({"key": architecture.key, **figures, **paper}))
    else:
        sizes = "x".join(map(str, options.input))
        say(f"{architecture.key}: {cost_text(cost)} for one input of {sizes}")
        say(memory_text(memory, options.batch, options.precision))
        if published is not None:
            say(published_text(published))
    return 0
