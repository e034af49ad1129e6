"""The front as files: JSON for programs, CSV for spreadsheets, HTML for people."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nas.front import front
from nas.front_page import front_page
from nas.result import Result
from trainers.errors import UserError

FIELDS = (
    "key",
    "dice",
    "params",
    "macs",
    "memory",
    "latency_ms",
    "architecture",
    "dice_per_class",
    "number",
    "epochs",
    "device",
    "latency",
)


def write_front(
    folder: Path,
    results: Sequence[Result],
    objectives: Sequence[str],
    title: str,
    classes: Sequence[str],
) -> list[Result]:
    """Write front.json, front.csv and front.html into `folder`; return the front's members.

    Each file is replaced whole: a reader, or a kill, never meets half of one.
    """
    members = front(results, objectives)
    record = json.dumps(front_json(members, objectives), indent=2, allow_nan=False)
    _replace(folder / "front.json", record + "\n")
    _replace(folder / "front.csv", front_csv(members))
    _replace(folder / "front.html", front_page(results, objectives, title, classes))
    return members


def read_front(folder: Path) -> tuple[list[Result], tuple[str, ...]]:
    """The members and the objectives that `write_front` wrote. Raises UserError."""
    path = folder / "front.json"
    try:
        record = json.loads(path.read_text())
        members = [Result.from_json({**m, "state": "complete"}) for m in record["members"]]
        return members, tuple(record["objectives"])
    except FileNotFoundError as error:
        raise UserError(
            f"{path} is missing; expected the folder of a search with a trial done (runs/NAME)"
        ) from error
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UserError(
            f"{path} is damaged ({error}); the same segnas search writes it anew"
        ) from error


def front_json(members: Sequence[Result], objectives: Sequence[str]) -> dict[str, Any]:
    """The objectives and the members as JSON values; a Dice that is not a number is null."""
    return {"objectives": list(objectives), "members": [_member(member) for member in members]}


def front_csv(members: Sequence[Result]) -> str:
    """One row a member, one column a class (`dice_<class>`), the architecture as JSON."""
    classes = list(dict.fromkeys(name for member in members for name in member.dice_per_class))
    columns = ["key", "dice", *(f"dice_{name}" for name in classes)]
    columns += ["params", "macs", "memory", "latency_ms", "device", "epochs", "number"]
    columns.append("architecture")
    text = io.StringIO()
    table = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
    table.writeheader()
    for member in members:
        row = _member(member)
        per_class = {f"dice_{name}": value for name, value in row["dice_per_class"].items()}
        table.writerow(row | per_class | {"architecture": json.dumps(row["architecture"])})
    return text.getvalue()


def _member(result: Result) -> dict[str, Any]:
    values = result.to_json()
    dice = values["dice_per_class"]
    values["dice_per_class"] = {n: v if math.isfinite(v) else None for n, v in dice.items()}
    return {name: values[name] for name in FIELDS}


def _replace(path: Path, text: str) -> None:
    part = path.with_name(f".{path.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
