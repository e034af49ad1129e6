"""What a search and a device agent say to each other, and the token that they share."""

from __future__ import annotations

import json
import os
import re
import secrets
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import Field, ValidationError

from nas.cost.latency.record import Record
from trainers.errors import UserError
from trainers.strict import left_out_at

MOST_BYTES = 256 << 20  # of a file
MOST_ANSWER = 4 << 20  # bytes
MOST_SECONDS = 3600.0
LEAST_TOKEN = 16  # characters

MACHINE, LATENCY = "/machine", "/latency"  # what is asked for, and where a file goes
ORDER_HEADER = "Segnas-Order"

Seconds = Annotated[float, Field(gt=0, le=MOST_SECONDS)]
Milliseconds = Annotated[float, Field(gt=0, lt=1e9)]
Run = Annotated[tuple[Milliseconds, ...], Field(min_length=1)]
Kind = TypeVar("Kind", bound=Record)


class Machine(Record):
    """Who measures: the processor, its system and CPUs, and the runtime; how large a file may be,
    which precisions it does not compute in, and whether a file is measured now."""

    device: str
    driver: str
    runtime: str
    cpus: int
    most_bytes: int
    lacks: tuple[str, ...] = left_out_at(())
    busy: bool = False


class Order(Record):
    """How a file is to be measured; see `LatencyConfig`."""

    threads: Annotated[int, Field(gt=0)]
    warmup: Annotated[int, Field(ge=0, le=10_000)]
    repeats: Annotated[int, Field(ge=3, le=10_000)]
    seconds: Seconds
    timeout: Seconds


class Times(Record):
    """The milliseconds of every counted pass of two runs."""

    first: Run
    second: Run


def read_message(kind: type[Kind], text: str | bytes) -> Kind:
    """What JSON of the other side says. Raises ValueError, in one line, for anything else."""
    try:
        return kind.from_json(json.loads(text))
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    except RecursionError:
        raise ValueError("nested too deeply") from None


def read_token(file: Path) -> str:
    """What a search has to know before an agent does anything for it.

    Raises UserError where the file is missing or holds no token.
    """
    try:
        found = file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        raise UserError(
            f"{file} with the agent's token cannot be read: {why}; `segnas probe --listen` makes "
            "one, to be copied from there"
        ) from error
    if len(found) < LEAST_TOKEN or not re.fullmatch(r"[!-~]+", found):
        raise UserError(
            f"{file} holds no token; expected one line of {LEAST_TOKEN} or more letters and digits"
        )
    return found


def make_token(file: Path) -> str:
    """That of the file, which is made where it is missing, for its owner alone."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as new:
            new.write(f"{secrets.token_urlsafe(32)}\n")
    return read_token(file)
