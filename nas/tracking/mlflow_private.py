"""Private parts of MLflow that are used for want of public ones, as read in version 3.17.

How often it opens a database: ten times, waiting longer and longer, 102 seconds in all, also where
the file cannot be opened at all.

Its tables: a store whose folder was moved or copied names its artifacts where they were, and no
call of MLflow changes where those of an experiment or a run are (github.com/mlflow/mlflow, issues
3719 and 8226; `mlflow db move-resources` moves experiments between workspaces).
"""

from __future__ import annotations

import sqlite3
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
