"""Where MLflow keeps the records, and how it is made ready. MLflow is imported when called for."""

from __future__ import annotations

import functools
import logging
import os
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

from nas.config.tracking import TrackingConfig
from nas.tracking.mlflow_private import LOCKED, fail_soon
from trainers.errors import first_line

STORE, ARTIFACTS = "mlflow.db", "mlartifacts"  # in a search's folder
DEFAULTS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # two lines for each trial that ends
    # Those of MLflow, 7 and 120, let one call wait for a quarter of an hour. A request that is
    # repeated blindly makes a second run where only the answer to the first one was lost.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
}
# At the end of what urllib3 says, after the whole address: (Caused by Some("Connection(): text"))
CAUSE = re.compile(r"Caused by \w+\((['\"])(?:\w+\(.*?\): )?(?P<text>.*)\1\)\)$")


def store_uri(config: TrackingConfig, directory: Path) -> str:
    """The tracking URI of the search in `directory`."""
    return config.uri or sqlite_uri(directory.resolve() / STORE)


def sqlite_uri(path: Path) -> str:
    """The address of the sqlite store at the absolute `path`, which may hold any character.

    SQLAlchemy (from 2.1) ends the path at a `?` and unquotes each `%20`. Where one has to be quoted
    so are the slashes: MLflow makes the folder that the address names before it is unquoted, and
    this one names none.
    """
    text = str(path)
    return f"sqlite:///{quote(text, safe='') if set(text) & set('%?') else text}"


def make_store(path: Path) -> None:
    """Make a new sqlite store at `path`, whole or not at all.

    It is made beside its place and renamed: MLflow cannot mend one whose migrations were cut off.
    """
    if path.exists():
        return
    from mlflow import MlflowClient

    for left in path.parent.glob(".mlflow-*"):
        left.unlink()
    draft = path.with_name(f".mlflow-{uuid4().hex}.db")
    try:
        MlflowClient(sqlite_uri(draft)).get_experiment("0")
        draft.rename(path)
    finally:
        for part in path.parent.glob(f"{draft.name}*"):
            part.unlink()


def check_writable(path: Path) -> None:
    """Raises sqlite3.Error for a sqlite store that is locked, read-only or none.

    MLflow itself waits 20 seconds for a lock, at each call.
    """
    with closing(sqlite3.connect(path, timeout=LOCKED, isolation_level=None)) as database:
        database.execute("BEGIN IMMEDIATE")
        database.execute("ROLLBACK")


def plain(error: Exception) -> str:
    """The first line of what went wrong, without a password; of a lost connection the cause."""
    line = first_line(error)
    cause = CAUSE.search(line)
    return without_password(cause["text"] if cause else line)


def without_password(text: str) -> str:
    """The text, with no user or password in its addresses."""
    return re.sub(r"//[^/@\s]*@", "//", text)


@functools.cache
def prepare_mlflow() -> None:
    """Import MLflow with its logs off and short time-outs."""
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
    import mlflow  # noqa: F401

    fail_soon()
    # Otherwise each migration of a new store is a line in the terminal, each failure a traceback.
    for name in ("mlflow", "alembic", "urllib3.connectionpool"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


@functools.cache
def server_errors() -> tuple[type[Exception], ...]:
    """The types of exceptions that a failing store raises."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    # Those of requests are OSErrors; an ImportError is that of a database without its driver.
    return MlflowException, SQLAlchemyError, sqlite3.Error, OSError, ImportError
