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
    results, objectives = _read(folder)
    return [result for result in results if not result.baseline], objectives


def read_baselines(folder: Path) -> list[Result]:
    """The baselines beside the members. Raises UserError as `read_front` does."""
    return [result for result in _read(folder)[0] if result.baseline]


def _read(folder: Path) -> tuple[list[Result], tuple[str, ...]]:
    path = folder / "front.json"
    try:
        record = json.loads(path.read_text())
        space = record.get("space", "")  # that of version 0.1 does not tell
        rows = [*record["members"], *record.get("baselines", ())]
        results = [Result.from_json({**row, "state": "complete"}, space) for row in rows]
        return results, tuple(record["objectives"])
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
    members: Sequence[Result], objectives: Sequence[str], baselines: Sequence[Result] = ()
) -> dict[str, Any]:
    """The space, the objectives and the members; a Dice that is not a number is null.

    Where there are baselines they stand apart, each with its name and its own space.
    """
    beside = {"baselines": [_row(baseline) for baseline in baselines]} if baselines else {}
    return {
        "space": members[0].space if members else "",
        "objectives": list(objectives),
        "members": [_row(member) for member in members],
        **beside,
    }


def front_csv(members: Sequence[Result], baselines: Sequence[Result] = ()) -> str:
    """One row a member, one column a class (`dice_<class>`), the architecture as JSON.

    Rows of baselines come last; a last column, there only with them, holds their names.
    """
    results = [*members, *baselines]
    classes = list(dict.fromkeys(name for result in results for name in result.dice_per_class))
    columns = ["key", "dice", *(f"dice_{name}" for name in classes)]
    columns += [*COSTS, "device", "epochs", "number", "architecture"]
    columns += ["baseline"] if baselines else []
    text = io.StringIO()
    table = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
    table.writeheader()
    for result in results:
        row = _row(result)
        dice = result.dice_per_class.items()
        per_class = {f"dice_{name}": ABSENT if value is None else value for name, value in dice}
        table.writerow(row | per_class | {"architecture": json.dumps(row["architecture"])})
    return text.getvalue()


def _row(result: Result) -> dict[str, Any]:
    values = result.to_json()
    own = ("baseline", "space") if result.baseline else ()
    return {name: values[name] for name in dict.fromkeys((*own, *FIELDS, *result.costs))}
