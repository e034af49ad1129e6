"""Does one driver keep 64 workers busy once there are 10,000 results in its journal?

    python benchmarks/cluster_size.py --dir /tmp/sizes --to docs/images/cluster_size.png
    python benchmarks/cluster_size.py --results 100 300 --slots 6 --trials 30

What is measured is the driver, so trainings are played: their results are made up. Journals are
written with a random sampler and made-up costs, into `--dir`, where another call finds them; all
that follows is the search's own: its default sampler, and real costs of the networks that it
proposes.

1. In a process of its own for each number of `--results`: seconds of an ask and of a tell, and the
   memory of the process.
2. With the fewest and the most results: a session with `--slots` on three nodes, of which two leave
   and two join, and `--trials` trials of four epochs. By a clock of its own: what the driver
   computes takes as long as it does, an epoch about `--seconds`. Slots busy: from when each has had
   a trial until the last trial begins; an epoch that is lost with its node was busy, too.

Seconds are process seconds, so that other work on the machine hardly matters. Takes half an hour of
a core, most of it for writing journals.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from cluster.asks import Load, measure, run_config
from cluster.played import Played, play
from driver import BAR, write
from rich.console import Console
from rich.table import Table

from nas.cli.main import one_line_errors


def main() -> None:
    options = parse()
    console, sizes = Console(width=110), sorted(options.results)
    with TemporaryDirectory() as folder:
        at = options.dir or Path(folder)
        at.mkdir(parents=True, exist_ok=True)
        journals = write(at, sizes, run_config("random"))
        if options.rounds:
            loads = {size: measure(journals[size], options.rounds) for size in sizes}
            console.print(load_table(loads))
            if options.to:
                draw(loads, options.to)
        if options.trials:
            numbers = options.slots, options.trials, options.seconds
            ends = sorted({sizes[0], sizes[-1]})
            rows = {size: play(journals[size], *numbers) for size in ends}
            console.print(played_table(rows, options))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    sizes = [100, 1000, 2500, 5000, 7500, 10_000]
    parser.add_argument("--results", type=int, nargs="+", default=sizes)
    parser.add_argument("--rounds", type=int, default=20, help="asks at each number; 0: none")
    parser.add_argument("--slots", type=int, default=64)
    parser.add_argument("--trials", type=int, default=320, help="0: no second part")
    parser.add_argument("--seconds", type=float, default=30.0, help="of an epoch")
    parser.add_argument("--dir", type=Path, help="keep the journals here")
    parser.add_argument("--to", type=Path, help="a picture of the first table")
    return parser.parse_args()


def load_table(loads: Mapping[int, Load]) -> Table:
    """A row a number of results."""
    title = f"process seconds; an ask and a tell are meant to take under {BAR} each"
    names = ("results", "opening", "first ask", "ask", "slowest", "tell", "journal MB", "memory MB")
    made = _table(title, names)
    for size, load in loads.items():
        times = (load.opening, load.first, load.ask, load.slowest, load.tell)
        sizes = (load.journal_bytes / 1e6, load.memory_bytes / 1e6)
        made.add_row(f"{size:,}", *(f"{t:.3f}" for t in times), *(f"{s:.0f}" for s in sizes))
    return made


def played_table(rows: Mapping[int, Played], options: argparse.Namespace) -> Table:
    """A row a number of results."""
    title = f"{options.slots} slots on three nodes, {options.trials} trials, epochs of "
    shown: dict[str, Callable[[Played], str]] = {
        "busy": lambda one: f"{one.share:.1%}",
        "until a node left": lambda one: f"{one.steady:.1%}",
        "driver computes": lambda one: f"{one.driver:.0%}",
        "ask": lambda one: f"{one.ask:.3f}",
        "tell": lambda one: f"{one.tell:.3f}",
        "hours": lambda one: f"{one.seconds / 3600:.2f}",
        "went on": lambda one: str(one.lost),
        "told twice": lambda one: str(one.again),
    }
    made = _table(f"{title}{options.seconds:g} s", ("results", *shown))
    for size, one in rows.items():
        made.add_row(f"{size:,}", *(text(one) for text in shown.values()))
    return made


def draw(loads: Mapping[int, Load], to: Path) -> None:
    """Seconds and memory by the number of results."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
    results = list(loads)
    left.plot(results, [load.ask for load in loads.values()], "o-", label="ask")
    left.plot(results, [load.tell for load in loads.values()], "s-", label="tell")
    left.axhline(BAR, color="grey", linestyle=":", linewidth=1)
    left.set(xlabel="results in the journal", ylabel="process seconds (median)", ylim=(0, None))
    left.legend(frameon=False)
    right.plot(results, [load.memory_bytes / 1e6 for load in loads.values()], "o-")
    right.set(xlabel="results in the journal", ylabel="memory of the driver, MB", ylim=(0, None))
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(to, dpi=110)


def _table(title: str, names: tuple[str, ...]) -> Table:
    made = Table(title=title)
    for name in names:
        made.add_column(name, justify="right", no_wrap=True)
    return made


if __name__ == "__main__":
    raise SystemExit(one_line_errors(main))
