"""What a benchmark has found so far, a JSON line each, so that a stopped one goes on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def append(file: Path, row: Mapping[str, Any]) -> None:
    """Write one line more, on a line of its own also where the last one was cut off."""
    cut = file.exists() and file.read_bytes()[-1:] not in (b"", b"\n")
    with file.open("a") as opened:
        opened.write("\n" * cut + json.dumps(row) + "\n")


def read(file: Path) -> list[dict[str, Any]]:
    """The lines that are whole, if there are any: who wrote the last one may have been killed."""
    rows = []
    for line in file.read_text().splitlines() if file.exists() else ():
        try:
            rows.append(json.loads(line))
        except ValueError:
            continue
    return rows
