"""`segnas probe`: a device agent, which measures latencies for searches on other machines."""

from __future__ import annotations

import argparse
import ipaddress

from nas.cli import arguments
from nas.cli.console import note, say
from nas.cli.ui import port

HELP = "measure latencies on this machine for searches on others"
HERE, PORT = "127.0.0.1", "8765"


def add_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--listen",
        type=address,
        nargs="?",
        const=PORT,
        required=True,
        metavar="[HOST:]PORT",
        help=f"serve until Ctrl-C (default: {HERE}:{PORT}, which only this machine reaches)",
    )
    command.add_argument(
        "--runtime",
        choices=("onnxruntime", "openvino", "tensorrt"),
        default="onnxruntime",
        help="what runs the networks (default: %(default)s)",
    )
    command.add_argument(
        "--token-file",
        type=arguments.path,
        default="~/.segnas-probe-token",
        metavar="FILE",
        help="what searches have to know; made where it is missing (default: %(default)s)",
    )


def address(text: str) -> tuple[str, int]:
    """`8765`, `0.0.0.0:8765`, `[::]:8765`: where to listen, on the loopback without a host."""
    host, colon, number = text.rpartition(":")
    if colon and not host:
        raise argparse.ArgumentTypeError(f"{text!r}; expected HOST:PORT or PORT")
    return host.strip("[]") or HERE, port(number)


def run(options: argparse.Namespace) -> int:
    from nas.cost.devices.agent_messages import make_token
    from nas.cost.devices.agent_server import Agent
    from trainers.errors import UserError

    host, number = options.listen
    try:
        agent = Agent(host, number, make_token(options.token_file), note, options.runtime)
    except OSError as error:
        raise UserError(
            f"--listen {host}:{number}: {error.strerror or error}; expected an address of this "
            "machine and a free port"
        ) from error
    with agent:
        shown = f"[{host}]" if ":" in host else host
        say(f"http://{shown}:{agent.server_port}")
        note(f"Measuring by {agent.machine.runtime} on {agent.machine.device}")
        note(f"A search needs the token in {options.token_file}; Ctrl-C ends this")
        if not _is_loopback(host):
            note(
                "Others reach this address, and nothing is encrypted: use it in a network that you "
                "trust, or an SSH tunnel to the loopback"
            )
        try:
            agent.serve_forever()
        except KeyboardInterrupt:
            note("ended")
    return 0


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
