"""Command-line arguments that several commands share."""

from __future__ import annotations

import argparse
import math
from pathlib import Path


def add_search_folder(command: argparse.ArgumentParser) -> None:
    """Which search."""
    command.add_argument("dir", type=Path, metavar="DIR", help="the search's folder")


def add_within(command: argparse.ArgumentParser) -> None:
    """Which members of the front."""
    command.add_argument(
        "--within",
        metavar="LIMITS",
        help="only members that keep them, such as 'params<=5e5,latency_ms<=20'",
    )


def add_export(command: argparse.ArgumentParser) -> None:
    """Which exported network."""
    command.add_argument("out", type=Path, metavar="OUT", help="an exported folder")


def add_settings(command: argparse.ArgumentParser) -> None:
    """Changes of the configuration."""
    command.add_argument(
        "--set",
        dest="settings",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="change a key of the configuration, such as train.epochs=3; may be repeated",
    )


def add_address(command: argparse.ArgumentParser) -> None:
    """Where Ray runs."""
    command.add_argument(
        "--address",
        metavar="auto|HOST:PORT",
        help="a Ray cluster to train on (default: this machine)",
    )


def add_json(command: argparse.ArgumentParser) -> None:
    """Output for programs."""
    command.add_argument("--json", action="store_true", help="print one JSON object")


def add_network(command: argparse.ArgumentParser) -> None:
    """Which network, for which input and output."""
    command.add_argument("network", metavar="PRESET|OUT|FILE", help="preset, export, or JSON file")
    command.add_argument(
        "--input", type=shape, required=True, metavar="CxDxHxW", help="CxHxW for 2D networks"
    )
    command.add_argument("--classes", type=positive, required=True, help="output channels")


def add_training(command: argparse.ArgumentParser) -> None:
    """How the training step is made whose memory is told."""
    command.add_argument(
        "--batch", type=positive, default=2, help="patches in a training step (default: 2)"
    )
    command.add_argument(
        "--precision",
        choices=("fp32", "bf16", "fp16"),
        default="fp32",
        help="of that step (default: fp32)",
    )


def positive(text: str) -> int:
    """One or more."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}; expected 1 or more")
    return int(text)


def shape(text: str) -> tuple[int, ...]:
    """Channels and the lengths of two or three axes."""
    sizes = text.lower().split("x")
    if len(sizes) not in (3, 4) or not all(size.isdecimal() and int(size) > 0 for size in sizes):
        raise argparse.ArgumentTypeError(
            f"{text!r}; expected channels and size, like 1x96x96x96 (2D: 3x256x256)"
        )
    return tuple(map(int, sizes))


def whole(text: str) -> int:
    """Zero or more."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r}; expected 0 or more")
    return int(text)


def distance(text: str) -> float:
    """Millimetres, zero or more."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r}; expected millimetres, 0 or more")
    return value
