"""The front as JSON for programs and CSV for spreadsheets."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nas.pareto.objectives import COSTS
from nas.pareto.result import ABSENT, Result
from trainers.errors import UserError

FIELDS = (
    "key",
    "dice",
    *COSTS,
    "architecture",
    "dice_per_class",
    "number",
    "epochs",
    "device",
    "latency",
)


def read_front(folder: Path) -> tuple[list[Result], tuple[str, ...]]:
    """The members and the objectives that `write_front` wrote.

    Raises UserError where there is no such file, or where it is damaged.
    """
    path = folder / "front.json"
    try:
        record = json.loads(path.read_text())
        space = record.get("space", "")  # that of version 0.1 does not tell
        members = [Result.from_json({**m, "state": "complete"}, space) for m in record["members"]]
        return members, tuple(record["objectives"])
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(
            f"{path} is missing; expected the folder of a search with a trial done (runs/NAME); "
            f"where {folder} is one, it is written anew by: segnas sync {folder}"
        ) from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(
            f"{path} is damaged ({error}); it is written anew by: segnas sync {folder}"
        ) from error


def front_json(members: Sequence[Result], objectives: Sequence[str]) -> dict[str, Any]:
    """The space, the objectives and the members; a Dice that is not a number is null."""
    return {
        "space": members[0].space if members else "",
        "objectives": list(objectives),
        "members": [_member(member) for member in members],
    }


def front_csv(members: Sequence[Result]) -> str:
    """One row a member, one column a class (`dice_<class>`), the architecture as JSON."""
    classes = list(dict.fromkeys(name for member in members for name in member.dice_per_class))
    columns = ["key", "dice", *(f"dice_{name}" for name in classes)]
    columns += [*COSTS, "device", "epochs", "number", "architecture"]
    text = io.StringIO()
    table = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
    table.writeheader()
    for member in members:
        row = _member(member)
        dice = member.dice_per_class.items()
        per_class = {f"dice_{name}": ABSENT if value is None else value for name, value in dice}
        table.writerow(row | per_class | {"architecture": json.dumps(row["architecture"])})
    return text.getvalue()


def _member(result: Result) -> dict[str, Any]:
    values = result.to_json()
    return {name: values[name] for name in dict.fromkeys((*FIELDS, *result.costs))}
