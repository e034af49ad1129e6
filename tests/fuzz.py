"""Damaged files of any kind, seeded, and what may come of reading one: a refusal of a few plain
lines, or success; no traceback, no hang, no write elsewhere."""

from __future__ import annotations

import json
import random
import signal
import warnings
from collections.abc import Callable, Iterable
from copy import deepcopy
from pathlib import Path
from typing import Any

from search_spaces.space import ArchitectureError
from trainers.errors import UserError

MOST_SECONDS = 10
TEXTS = [
    *("", " ", "a", "3", "null", "../../outside", "/etc/passwd", "~nobody/x", "a\0b", "x" * 5000),
    *("\x1b]0;owned\x07", "=1+1", "$__import__('os').system('true')", "@x", "%a.json::b", "\u202e"),
    *("</script><script>", "[red]", "[/]", "\\input{x}", "{{7*7}}", "a\nb", "\ud800", "..", "."),
]
NUMBERS = [0, 1, -1, 2, 3.5, 1e308, -(2**63), 2**64, 10**30, float("nan"), float("inf")]
VALUES: list[Any] = [*TEXTS, *NUMBERS, True, False, None, [], {}, [[]], {"a": 1}, [None] * 99]


class TooLong(BaseException):
    """No `Exception`: nothing on the way may catch it."""


def damaged_bytes(draw: random.Random, content: bytes) -> bytes:
    """Cut, overwritten, doubled in part, emptied, or something else altogether."""
    at, end = sorted(draw.randrange(len(content) + 1) for _ in range(2))
    few = bytearray(content)
    for _ in range(draw.randint(1, 8)):
        few[draw.randrange(len(few))] = draw.randrange(256)
    return draw.choice(
        [
            content[:at],
            content[:at] + content[end:],
            content[:end] + content[at:],
            content[:at] + draw.randbytes(draw.randint(1, 40)) + content[end:],
            content[:at] + bytes(end - at) + content[end:],
            bytes(few),
            bytes(few),
            draw.choice([b"", b"\0" * 99, b"no such file", b"PK\x03\x04", b"\x80\x02."]),
        ]
    )


def damaged_value(draw: random.Random, value: Any) -> Any:
    """A JSON value of which a part is another, missing, doubled or elsewhere."""
    changed = deepcopy(value)
    for _ in range(draw.choice([1, 1, 1, 2, 3])):
        places = list(_places(changed))
        if not places or draw.random() < 0.03:
            return draw.choice(VALUES)
        holder, key = draw.choice(places)
        how = draw.random()
        if how < 0.7:
            holder[key] = deepcopy(draw.choice(VALUES))
        elif how < 0.85:
            del holder[key]
        elif isinstance(holder, list):
            holder.append(deepcopy(holder[key]))
        else:
            holder[draw.choice(TEXTS)] = holder.pop(key)
    return changed


def damaged_json(draw: random.Random, text: str) -> bytes:
    """Of a JSON file, by its values most of the time."""
    if draw.random() < 0.25:
        return damaged_bytes(draw, text.encode())
    return json.dumps(damaged_value(draw, json.loads(text))).encode()


def damaged_file(draw: random.Random, path: Path) -> None:
    """The file in another state."""
    content = path.read_bytes()
    is_json = path.suffix == ".json"
    damaged = damaged_json(draw, content.decode()) if is_json else damaged_bytes(draw, content)
    path.write_bytes(damaged)


def problems(attempt: Callable[[random.Random], object], seeds: Iterable[int]) -> list[str]:
    """What went wrong, with the seed that it went wrong with."""

    def end(*_: object) -> None:
        raise TooLong

    before, found = signal.signal(signal.SIGALRM, end), []
    try:
        for seed in seeds:
            signal.alarm(MOST_SECONDS)
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    attempt(random.Random(seed))
            except (UserError, ArchitectureError, OSError) as error:
                lines = str(error).splitlines()
                if not lines or len(lines) > 22 or max(map(len, lines)) > 6000:
                    found.append(f"{seed}: told in {len(lines)} lines: {str(error)[:300]}")
            except (Exception, TooLong) as error:
                found.append(f"{seed}: {type(error).__name__}: {str(error)[:300]}")
            finally:
                signal.alarm(0)
    finally:
        signal.signal(signal.SIGALRM, before)
    return found


def everything(folder: Path, but: Path | None = None) -> dict[str, tuple[int, int]]:
    """Name -> size and time of change of all files below, without those below `but`."""
    return {
        str(path.relative_to(folder)): (path.lstat().st_size, path.lstat().st_mtime_ns)
        for path in folder.rglob("*")
        if not path.is_dir() and (but is None or not path.is_relative_to(but))
    }


def _places(value: Any) -> Iterable[tuple[Any, Any]]:
    if isinstance(value, dict | list):
        for key in list(value) if isinstance(value, dict) else range(len(value)):
            yield value, key
            if isinstance(value[key], dict | list):
                yield from _places(value[key])
