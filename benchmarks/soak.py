"""Does a long search grow? Memory, processes, file handles, temporary files and MLflow's store.

    python benchmarks/soak.py --trials 500
    python benchmarks/soak.py --trials 500 --dir /tmp/soak --minutes 10

One search of networks that train about a second each, with a latency measured and a local store of
MLflow, on two slots. It is seen from outside, every few seconds: resident memory of the driver, of
the largest worker and of the probe; processes, and the file handles of all; what lies in the
folder for temporary files (Ray's folder of logs aside), in /dev/shm and hidden in the search's
folder; the sizes of the journal and of MLflow's file, and how long the query takes that MLflow's
page of runs asks.

Samples are appended to DIR/samples.jsonl. With --minutes the search is interrupted after that time,
and the same command goes on with it, in new processes: each session has its own lines. In the end a
line says what each session left behind. Linux only.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from statistics import median
from time import monotonic, sleep
from typing import Any

import psutil
from json_lines import append, read
from rich.console import Console
from rich.table import Table
from watched.journal import leftovers, results
from watched.places import SEARCH
from watched.processes import kind_of
from watched.search_command import LOOK, SearchCommand
from watched.store import query_seconds

from nas.cli.main import one_line_errors
from nas.study.search_folder import JOURNAL
from nas.tracking.store import STORE

EVERY = 5.0  # seconds between samples
GRACE = 90.0  # seconds for processes to notice that the search has ended
ROWS = 6  # of the table, for each session
MIB = 2**20
SHORT = {
    **SEARCH,
    "name": "soak",
    "train": {"patch": [24, 24, 24], "epochs": 2, "steps_per_epoch": 8, "batch": 1},
    "objectives": ["dice", "params", "latency_ms"],
    "latency": {"warmup": 0, "repeats": 3},
    "resources": {"concurrent": 2},
}
COLUMNS = {  # of a sample, and what the table calls it
    "results": "results",
    "driver": "driver MiB",
    "worker": "largest worker MiB",
    "probe": "probe MiB",
    "processes": "processes",
    "driver_handles": "handles of the driver",
    "handles": "handles of all",
    "temporary": "temporary files",
    "shared": "/dev/shm",
    "drafts": "drafts",
    "journal": "journal MiB",
    "store": "MLflow MiB",
    "query": "query CPU ms",
}


def main() -> None:
    arguments = parse()
    book = arguments.dir / "samples.jsonl"
    if len(results(arguments.dir / "search")) < arguments.trials:
        soak(arguments.dir, book, arguments.trials, arguments.minutes)
    console = Console(width=200)
    for number, session in enumerate(sessions(book), 1):
        console.print(table(number, session))
        if left := session[-1].get("left"):
            console.print(f"left behind: {left}", highlight=False)


def soak(folder: Path, book: Path, trials: int, minutes: float) -> None:
    """One session of the search, of so many minutes at most."""
    temporary = Path(tempfile.mkdtemp(prefix="s", dir="/tmp"))  # Ray's sockets have short paths
    config = {**SHORT, "search": {**SHORT["search"], "trials": trials}}
    search = SearchCommand(folder, config, temporary)
    session, started, sampled = len(sessions(book)) + 1, monotonic(), 0.0
    search.start()
    interrupted = False
    while search.process.poll() is None:
        search.family.look()
        now = monotonic()
        if now - sampled > EVERY:
            sampled = now
            found = {"session": session, "seconds": now - started, **sample(search, temporary)}
            append(book, found)
        if now - started > 60 * minutes and not interrupted:
            interrupted = True
            search.process.send_signal(2)
        sleep(LOOK)
    end = monotonic() + GRACE
    while search.family.alive() and monotonic() < end:
        sleep(1)
    left = [kind_of(one) for one in search.family.alive()]
    left += [path.name for path in leftovers(search.directory, temporary)]
    append(book, {"session": session, "status": search.process.returncode, "left": left})


def sample(search: SearchCommand, temporary: Path) -> dict[str, Any]:
    """What there is now."""
    family, directory = search.family, search.directory
    driver, members = family.root, family.alive()
    store, journal = directory / STORE, directory / JOURNAL
    return {
        "results": len(results(directory)),
        "driver": resident(driver),
        "worker": max([resident(one) for one in members if kind_of(one) == "worker"], default=0.0),
        "probe": max([resident(one) for one in members if kind_of(one) == "probe"], default=0.0),
        "processes": 1 + len(members),
        "driver_handles": handles(driver),
        "handles": handles(driver) + sum(map(handles, members)),
        "temporary": sum(1 for path in temporary.iterdir() if path.name != "ray"),
        "shared": sum(1 for _ in Path("/dev/shm").iterdir()),
        "drafts": sum(1 for name in ("", "checkpoints") for _ in (directory / name).glob(".*")),
        "journal": size(journal),
        "store": size(store),
        "query": 1000 * query_seconds(store) if store.exists() else 0.0,
    }


def resident(process: psutil.Process) -> float:
    """MiB of it in memory, what it shares with others included."""
    with suppress(psutil.Error):
        return process.memory_info().rss / MIB
    return 0.0


def handles(process: psutil.Process) -> int:
    """Open files and sockets."""
    with suppress(psutil.Error):
        return process.num_fds()
    return 0


def size(path: Path) -> float:
    """MiB of a file, 0 where there is none."""
    return path.stat().st_size / MIB if path.exists() else 0.0


def sessions(book: Path) -> list[list[dict[str, Any]]]:
    """The samples of each, and last what it left behind where it came to its end."""
    lines = read(book)
    numbers = sorted({line["session"] for line in lines})
    return [[line for line in lines if line["session"] == number] for number in numbers]


def table(number: int, session: Sequence[dict[str, Any]]) -> Table:
    """The medians of the samples in equal parts of its time; none of the opening."""
    running = [line for line in session if line.get("worker")]
    ends = [part * len(running) // ROWS for part in range(ROWS + 1)]
    parts = [running[begin:end] for begin, end in pairwise(ends) if end > begin]
    shown = Table(title=f"session {number}")
    for head in ("s", *COLUMNS.values()):
        shown.add_column(head, justify="right")
    for part in parts:
        found = {name: median(line[name] for line in part) for name in COLUMNS}
        digits = {name: 1 if name in ("journal", "store") else 0 for name in COLUMNS}
        cells = [f"{found[name]:.{digits[name]}f}" for name in COLUMNS]
        shown.add_row(f"{part[-1]['seconds']:.0f}", *cells)
    return shown


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--trials", type=int, default=500)
    parser.add_argument("--dir", type=Path, default=Path("runs/soak"))
    parser.add_argument("--minutes", type=float, default=1e9, help="of this session, at most")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(one_line_errors(main))
