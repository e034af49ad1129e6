"""A search of hippocampus on one GPU: how soon there is a result, and all of them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, sleep

from nas.study.search_folder import JOURNAL

from .work import Rows, Work

CONFIG = Path(__file__).parents[2] / "configs" / "hippocampus.yaml"
RESULT = '{"result":'  # in the journal's line of a candidate that has ended


def search_rows(work: Work) -> Rows:
    """One row."""
    if work.hippocampus is None:
        yield {"search": "left out: no --hippocampus FOLDER"}
        return
    with TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "nas", "search", str(CONFIG), "--dir", f"{folder}/run"]
        command += [word for change in changes(work) for word in ("--set", change)]
        journal, first = Path(folder) / "run" / JOURNAL, None
        started = perf_counter()
        with subprocess.Popen(command, cwd=CONFIG.parents[1]) as search:
            while search.poll() is None:
                sleep(0.1)
                if first is None and results(journal):
                    first = perf_counter() - started
        yield {
            "search": CONFIG.name,
            "first result, s": "-" if first is None else f"{first:.1f}",
            "all, s": f"{perf_counter() - started:.1f}",
            "results": results(journal),
            "exit status": search.returncode,
        }


def changes(work: Work) -> list[str]:
    """Of the configuration, as `--set` takes them; on a GPU ten trials share it."""
    return [
        f"data.path={work.hippocampus}",
        *(["resources.gpus=0.1"] if work.device.type == "cuda" else []),
        *(f"train.{key}={value}" for key, value in work.train.items()),
    ]


def results(journal: Path) -> int:
    """How many candidates have ended."""
    return journal.read_text().count(RESULT) if journal.is_file() else 0
