"""Private parts of MLflow that are used for want of public ones, as read in version 3.17.

How often it opens a database: ten times, waiting longer and longer, 102 seconds in all, also where
the file cannot be opened at all.

Its tables: a store whose folder was moved or copied names its artifacts where they were, and no
call of MLflow changes where those of an experiment or a run are (github.com/mlflow/mlflow, issues
3719 and 8226; `mlflow db move-resources` moves experiments between workspaces).

What the button *Share* keeps of a view of runs, columns and charts included: a tag of the
experiment that holds it as JSON, which an address names. No call of MLflow makes one; a key of it
that a later version does not know is left out there.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

# The columns that hold addresses of artifacts.
ADDRESSES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)


VIEW_TAG = "mlflow.sharedViewState."  # of an experiment, before the name of the view
VIEW_PARAMETER = "viewStateShareKey"  # of an address

LOCKED = 2.0  # seconds that a locked store is waited for


def fail_soon() -> None:
    """Have MLflow try to open a database twice, 0.1 s apart."""
    from mlflow.store.db import utils

    utils.MAX_RETRY_COUNT = 2


def follow_move(store: Path, experiment: str, artifacts: Path) -> None:
    """Have the sqlite `store` name the artifacts of `experiment` where they are now.

    MLflow names them by absolute paths: it would go on writing into the folder that the store was
    copied from. Raises sqlite3.Error.
    """
    with closing(sqlite3.connect(store, timeout=LOCKED)) as database, database:
        query = "SELECT artifact_location FROM experiments WHERE name = ?"
        found = database.execute(query, (experiment,)).fetchone()
        old, new = found[0] if found else "", artifacts.as_uri()
        if not old.startswith("file:") or old == new:
            return
        for table, column in ADDRESSES:
            database.execute(
                f"UPDATE {table} SET {column} = ? || substr({column}, ?) "
                f"WHERE {column} = ? OR substr({column}, 1, ?) = ?",
                (new, len(old) + 1, old, len(old) + 1, f"{old}/"),
            )


def runs_view(
    runs: str, order: str, columns: Sequence[str], charts: Sequence[tuple[str, str]]
) -> str:
    """A view of an experiment's runs, as the value of its tag.

    `runs`: the filter. `order`: the column to sort by, the largest first. Columns are called
    `metrics.dice`, `tags.front`. `charts`: metrics along x and y of scatters, which come first.
    """
    section = "segnas"
    named = [f"{kind}.`{name}`" for kind, _, name in (text.partition(".") for text in columns)]
    kind, _, name = order.partition(".")
    return json.dumps(
        {
            "searchFilter": runs,
            "orderByKey": f"{kind}.`{name}`",
            "orderByAsc": False,
            "selectedColumns": named,
            "runsHiddenMode": "SHOW_ALL",  # in charts; MLflow's own is the first ten
            "isAccordionReordered": True,  # else sections are sorted by name
            "compareRunSections": [
                {"uuid": section, "name": "Front", "display": True, "isReordered": False}
            ],
            "compareRunCharts": [
                {
                    "type": "SCATTER",
                    "uuid": f"{section}-{number}",
                    "metricSectionId": section,
                    "isGenerated": False,
                    "deleted": False,
                    "xaxis": {"key": x, "type": "METRIC"},
                    "yaxis": {"key": y, "type": "METRIC"},
                    "runsCountToCompare": 100,
                }
                for number, (x, y) in enumerate(charts)
            ],
        }
    )
