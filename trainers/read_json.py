"""JSON that a person hands in: read strictly, whatever editor saved it."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any, NoReturn

from trainers.errors import UserError
from trainers.read_text import read_text

MOST = 64 << 20  # bytes; a list of a hundred thousand cases has a quarter of it
DIGITS = 300  # of an integer; more are no number that anything here could use
_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[{}:]')


def read_json(path: Path, finite: bool = True) -> Any:
    """What a JSON file holds.

    Raises UserError where it cannot be read, is no JSON, is nested too deeply, has a key twice in
    one object, text that is none (half a surrogate pair), or, with `finite`, a number that is none.
    """
    text = read_text(path, "JSON", MOST)
    try:
        value = json.loads(
            text,
            parse_int=read_integer,
            parse_float=read_float if finite else None,
            parse_constant=_no_number if finite else None,
        )
    except RecursionError as error:
        raise UserError(f"{path} is nested too deeply; expected a few levels") from error
    except ValueError as error:
        raise UserError(f"{path} is no JSON: {error}") from error
    try:
        _check_text(text)
    except ValueError as error:
        raise UserError(f"{path}: {error}") from error
    return value


def read_integer(text: str, base: int = 10) -> int:
    """The whole number that is written; of a base other than 10 with 0o or 0x. Raises ValueError
    for more than `DIGITS`."""
    if len(text) > DIGITS:
        raise ValueError(f"a number has {len(text)} digits; expected {DIGITS} at most")
    return int(text, base)


def read_float(text: str) -> float:
    """The number that is written. Raises ValueError where it is more than a float holds."""
    if not math.isfinite(value := float(text)):
        raise ValueError(f"{text} is too large for a number")
    return value


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number of JSON")


def _check_text(text: str) -> None:
    """Refuse keys that stand twice in one object, and strings that are no text, in valid JSON."""
    objects: list[dict[str, int]] = []  # the open ones: key -> where it stands
    last = ("", 0)
    for token in _TOKEN.finditer(text):
        sign = token[0]
        if sign == "{":
            objects.append({})
        elif sign == "}":
            objects.pop()
        elif sign == ":":
            key, place = last
            if (first := objects[-1].setdefault(key, place)) != place:
                raise ValueError(
                    f"{json.dumps(key)} stands twice in one object, at {_place(text, first)} and "
                    f"at {_place(text, place)}; keep one"
                )
        else:
            last = json.loads(sign), token.start()
            if re.search("[\ud800-\udfff]", last[0]):
                raise ValueError(f"the string at {_place(text, last[1])} is no text")


def _place(text: str, offset: int) -> str:
    line_start = text.rfind("\n", 0, offset) + 1
    return f"line {text.count(chr(10), 0, offset) + 1} column {offset - line_start + 1}"
