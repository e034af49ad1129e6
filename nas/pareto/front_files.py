"""The front as JSON for programs and CSV for spreadsheets."""

from __future__ import annotations

import csv
import io
import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nas.pareto.objectives import COSTS, costs_among
from nas.pareto.result import ABSENT, Result
from trainers.errors import UserError
from trainers.spreadsheet import cell

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
    "macs_bounds",
    "latencies",
)


@dataclass(frozen=True, kw_only=True)
class Front:
    """The members of a front, and what is shown beside them.

    `baselines`: well-known networks that were trained beside the candidates. `compressed`: networks
    that were made smaller after the search. `chances`: of each member to be on the front, by key;
    empty where none was trained again.
    """

    members: Sequence[Result]
    objectives: Sequence[str]
    baselines: Sequence[Result] = ()
    compressed: Sequence[Result] = ()
    chances: Mapping[str, float] = field(default_factory=dict)

    @property
    def beside(self) -> list[Result]:
        """Those that are shown and are no members."""
        return [*self.baselines, *self.compressed]


def read_front(folder: Path) -> Front:
    """What `write_front` wrote.

    Raises UserError where there is no such file, or where it is damaged.
    """
    path, anew = folder / "front.json", f"segnas sync {shlex.quote(str(folder))}"
    try:
        record = json.loads(path.read_text())
        space = record.get("space", "")  # that of version 0.1 does not tell
        rows = [*record["members"], *record.get("baselines", ()), *record.get("compressed", ())]
        chances = {row["key"]: row.pop("chance") for row in rows if "chance" in row}
        results = [Result.from_json({**row, "state": "complete"}, space) for row in rows]
        return Front(
            members=[result for result in results if result.is_candidate],
            objectives=tuple(record["objectives"]),
            baselines=[result for result in results if result.baseline],
            compressed=[result for result in results if result.compressed],
            chances=chances,
        )
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(
            f"{path} is missing; expected the folder of a search with a trial done (runs/NAME); "
            f"where {folder} is one, it is written anew by: {anew}"
        ) from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(f"{path} is damaged ({error}); it is written anew by: {anew}") from error


def front_json(front: Front) -> dict[str, Any]:
    """The space, the objectives and the members; a Dice that is not a number is null.

    Where there are baselines they stand apart, each with its name and its own space, and so do
    compressed networks, each with its `method` and the trial `of` which it was made. Where networks
    were trained again, members have their `chance`, and these their `trainings`. Those whose input
    decides how many queries are computed have `macs_bounds`, the least and the most.
    """
    beside = {"baselines": front.baselines, "compressed": front.compressed}
    return {
        "space": front.members[0].space if front.members else "",
        "objectives": list(front.objectives),
        "members": [_row(member, front) for member in front.members],
        **{name: [_row(each, front) for each in rows] for name, rows in beside.items() if rows},
    }


def front_csv(front: Front) -> str:
    """One row a member, one column a class (`dice_<class>`), the architecture as JSON.

    `trainings` is how many Dice is the mean of; a chance is left out where it is not known. Columns
    `macs_least` and `macs_most` are there only with bounds. Rows of baselines and of compressed
    networks come last; a last column for each kind, there only with them, holds the names of the
    ones, and the method and the trial of the others.
    """
    results = [*front.members, *front.beside]
    classes = list(dict.fromkeys(name for result in results for name in result.dice_per_class))
    columns = ["key", "dice", *(f"dice_{name}" for name in classes)]
    costs = costs_among([*COSTS, *(name for result in results for name in result.costs)])
    columns += [*costs, "device", "epochs", "number", "architecture", "trainings", "chance"]
    columns += ["macs_least", "macs_most"] if any(r.macs_bounds for r in results) else []
    columns += ["baseline"] if front.baselines else []
    columns += ["compressed"] if front.compressed else []
    text = io.StringIO()
    table = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
    table.writerow({name: cell(name) for name in columns})
    for result in results:
        row = {**_row(result, front), "trainings": len(result.trainings) or 1}
        dice = result.dice_per_class.items()
        per_class = {f"dice_{name}": ABSENT if value is None else value for name, value in dice}
        texts = {"architecture": json.dumps(row["architecture"]), "compressed": result.made}
        cells = row | per_class | result.bounds | texts
        table.writerow({name: cell(value) for name, value in cells.items()})
    return text.getvalue()


def _row(result: Result, front: Front) -> dict[str, Any]:
    values = result.to_json()
    own = () if result.is_candidate else ("baseline", "compressed", "space")
    names = dict.fromkeys((*own, *FIELDS, *result.costs))
    chance = {"chance": front.chances[result.name]} if result.name in front.chances else {}
    return {name: values[name] for name in names if name in values} | chance
