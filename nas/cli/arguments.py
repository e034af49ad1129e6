"""Command-line arguments that several commands share."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from pathlib import Path

from trainers.errors import UserError
from trainers.home import from_home

path = from_home
"""Reads a path of the command line."""

DATA = "a folder with dataset.json or of DICOM, a CSV table or a JSON datalist of cases"


def add_search_folder(command: argparse.ArgumentParser) -> None:
    command.add_argument("dir", type=path, metavar="DIR", help="the search's folder")


def add_within(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--within",
        metavar="LIMITS",
        help="only members that keep them, such as 'params<=5e5,latency_ms<=20'",
    )


def add_export(command: argparse.ArgumentParser) -> None:
    command.add_argument("out", type=path, metavar="OUT", help="an exported folder")


def add_segmenters(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "dirs",
        type=path,
        nargs="+",
        metavar="DIR",
        help="an exported or deployed folder; of several, the probabilities are averaged",
    )


def add_settings(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--set",
        dest="settings",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="change a key of the configuration, such as train.epochs=3; the last one counts",
    )


def add_address(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--address",
        metavar="auto|HOST:PORT",
        help="a Ray cluster to train on (default: this machine)",
    )


def add_hours(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--hours",
        type=hours,
        metavar="H",
        help="what a whole search may take, planning and preparing included (default: 0.75, on a "
        "GPU 4)",
    )


def add_json(command: argparse.ArgumentParser) -> None:
    command.add_argument("--json", action="store_true", help="print one JSON object")


def add_raw(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--raw", action="store_true", help="label maps without the network's postprocessing"
    )


def add_network(command: argparse.ArgumentParser) -> None:
    command.add_argument("network", metavar="PRESET|OUT|FILE", help="preset, export, or JSON file")
    command.add_argument(
        "--input", type=shape, required=True, metavar="CxDxHxW", help="CxHxW for 2D networks"
    )
    command.add_argument(
        "--classes",
        type=positive,
        required=True,
        help="output channels, the background among them",
    )


def add_training(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--batch", type=positive, default=2, help="patches in a training step (default: 2)"
    )
    command.add_argument(
        "--precision",
        choices=("fp32", "bf16", "fp16"),
        default="fp32",
        help="of that step (default: fp32)",
    )


def no_file(to: Path) -> Path:
    """The folder that `--to` names, new or old. Raises UserError for a file."""
    if to.exists() and not to.is_dir():
        raise UserError(f"--to {to} is a file; expected a folder, new or old")
    return to


def at_least(least: int) -> Callable[[str], int]:
    """Reads a whole number of `least` or more."""

    def read(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r}; expected {least} or more")
        return int(text)

    return read


def numbers(separator: str, expected: str, *lengths: int) -> Callable[[str], tuple[int, ...]]:
    """Reads whole numbers of 1 or more between separators, as many as one of `lengths` allows.

    `expected`: what an error says was expected. Without `lengths`, any number of them.
    """

    def read(text: str) -> tuple[int, ...]:
        words = text.lower().split(separator)
        wrong = not all(word.isdecimal() and int(word) > 0 for word in words)
        if wrong or (lengths and len(words) not in lengths):
            raise argparse.ArgumentTypeError(f"{text!r}; expected {expected}")
        return tuple(map(int, words))

    return read


def some_of(known: Sequence[str]) -> Callable[[str], tuple[str, ...]]:
    """Reads words between commas, each of them known."""

    def read(text: str) -> tuple[str, ...]:
        words = tuple(text.split(","))
        if unknown := [word for word in words if word not in known]:
            raise argparse.ArgumentTypeError(f"{unknown[0]!r}; expected some of {', '.join(known)}")
        return words

    return read


positive = at_least(1)
# Channels and the lengths of two or three axes.
shape = numbers("x", "channels and size, like 1x96x96x96 (2D: 3x256x256)", 3, 4)


def number(expected: str, fits: Callable[[float], bool]) -> Callable[[str], float]:
    """Reads a finite number that `fits`; `expected`: what an error says was expected."""

    def read(text: str) -> float:
        try:
            value = float(text.replace("_", "?"))  # Python's 1_0 is no number of people
        except ValueError:
            value = math.nan
        if not math.isfinite(value) or not fits(value):
            raise argparse.ArgumentTypeError(f"{text!r}; expected {expected}")
        return value

    return read


distance = number("millimetres, 0 or more", lambda mm: mm >= 0)
hours = number("hours, such as 1.5", lambda h: h > 0)
