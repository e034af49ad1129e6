"""The file that a study is written to, line by line. One process at a time may hold it."""

from __future__ import annotations

import json
import os
import warnings
from pathlib import Path
from typing import Any

from optuna.storages.journal import JournalFileBackend


class Journal(JournalFileBackend):
    """A file of JSON lines, mended where a process died while it wrote the last one.

    Optuna's own backend locks the file and flushes it to the disk at every write, twenty times an
    ask: seconds where the disk is busy. Here nobody else writes, what is written outlives the
    process, and only changes of a trial's state wait for the disk.
    """

    def __init__(self, path: Path) -> None:
        _mend(path)
        super().__init__(str(path))

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Write one line a log."""
        lines = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs)
        with Path(self._file_path).open("ab") as file:
            file.write(lines.encode())
            file.flush()
            if any("state" in log for log in logs):
                os.fsync(file.fileno())


def _mend(path: Path) -> None:
    content = path.read_bytes() if path.exists() else b""
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        warnings.warn(f"{path}: its last line was half written and is dropped", stacklevel=2)
        os.truncate(path, whole)
