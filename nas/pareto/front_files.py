"""The front as JSON for programs and CSV for spreadsheets."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

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
    "trainings",
    "chance",
)


class Front(NamedTuple):
    """`chances`: of each member to be on the front; empty where none was trained again."""

    members: list[Result]
    objectives: tuple[str, ...]
    chances: dict[str, float]


def read_front(folder: Path) -> Front:
    """What `write_front` wrote.

    Raises UserError where there is no such file, or where it is damaged.
    """
    path = folder / "front.json"
    try:
        record = json.loads(path.read_text())
        space = record.get("space", "")  # that of version 0.1 does not tell
        told = [{**member, "state": "complete"} for member in record["members"]]
        chances = {one["key"]: one.pop("chance") for one in told if "chance" in one}
        members = [Result.from_json(one, space) for one in told]
        return Front(members, tuple(record["objectives"]), chances)
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


def front_json(
    members: Sequence[Result],
    objectives: Sequence[str],
    chances: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """The space, the objectives and the members; a Dice that is not a number is null.

    Where networks were trained again, members have their `chance`, and these their `trainings`.
    """
    return {
        "space": members[0].space if members else "",
        "objectives": list(objectives),
        "members": [_member(member, chances or {}) for member in members],
    }


def front_csv(members: Sequence[Result], chances: Mapping[str, float] | None = None) -> str:
    """One row a member, one column a class (`dice_<class>`), the architecture as JSON.

    `trainings` is how many Dice is the mean of; a chance is left out where it is not known.
    """
    classes = list(dict.fromkeys(name for member in members for name in member.dice_per_class))
    columns = ["key", "dice", *(f"dice_{name}" for name in classes)]
    columns += [*COSTS, "device", "epochs", "number", "architecture", "trainings", "chance"]
    text = io.StringIO()
    table = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
    table.writeheader()
    for member in members:
        row = {**_member(member, chances or {}), "trainings": len(member.trainings) or 1}
        dice = member.dice_per_class.items()
        per_class = {f"dice_{name}": ABSENT if value is None else value for name, value in dice}
        table.writerow(row | per_class | {"architecture": json.dumps(row["architecture"])})
    return text.getvalue()


def _member(result: Result, chances: Mapping[str, float]) -> dict[str, Any]:
    values = result.to_json()
    if result.key in chances:
        values["chance"] = chances[result.key]
    names = dict.fromkeys((*FIELDS, *result.costs))
    return {name: values[name] for name in names if name in values}
