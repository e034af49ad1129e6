"""How fast does each search find the front? Replayed on a table of trained networks.

    python benchmarks/search_efficiency.py                      # two cores, some two hours
    python benchmarks/search_efficiency.py --seeds 4 --only segnas random
    python benchmarks/search_efficiency.py --seeds 12 --only segnas random --peers

Every network of benchmarks/table/ was trained once a seed, so that a search of 1,024 epochs is
replayed in a second: four workers train asynchronously in simulated time, the search algorithms are
the real ones (benchmarks/simulation/setups.py has one line for each). Only what was trained to the
end counts, in every set-up. Prints, as Markdown, the epochs until a search reaches the hypervolume
(median over the seeds) that random search has with the whole budget, the hypervolume at parts of
the budget, and the default against each stock set-up; brackets hold the quartiles over the seeds.
`--peers` adds searches of other packages, which benchmarks/peers.txt names. The bars: the default
needs at most a third of random's epochs, and is above all others.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np
from simulation.figure import write_figure
from simulation.quality import Quality
from simulation.report import duel_table, speed_table
from simulation.runs import Contest
from simulation.setups import OURS, PEERS, RANDOM, SETUPS, STOCK
from simulation.table import load_table

from nas.cli.main import one_line_errors

TABLE = Path(__file__).with_name("table") / "hippocampus.json"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--table", type=Path, default=TABLE)
    parser.add_argument("--objectives", nargs="+", default=["dice", "params", "latency_ms"])
    parser.add_argument("--trainings", type=int, default=64, help="budget, in whole trainings")
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--only", nargs="+", choices=SETUPS, default=list(SETUPS))
    parser.add_argument("--peers", action="store_true", help="and other packages' searches")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--to", type=Path, default=Path("runs"), help="folder of figure and cache")
    options = parser.parse_args()

    table = load_table(options.table)
    budget = options.trainings * table.epochs
    names = dict.fromkeys([RANDOM, OURS, *options.only])  # the two that the rest is compared with
    setups = {name: setup for name, setup in SETUPS.items() if name in names}
    setups |= PEERS if options.peers else {}
    options.to.mkdir(parents=True, exist_ok=True)
    contest = Contest(table, tuple(options.objectives), budget, options.seeds)
    histories = contest.run(setups, options.jobs, options.to / "search_efficiency.json")

    quality = Quality(table, options.objectives)
    curves = {
        name: np.array([quality.steps(found, seed, budget) for seed, found in enumerate(seeds)])
        for name, seeds in histories.items()
    }
    target = float(np.median(curves[RANDOM][:, -1]))
    stock = [name for name in (*STOCK, *PEERS) if name in curves]
    print(f"{len(table.networks)} networks, budget {budget} epochs, {options.seeds} seeds")
    print(f"hypervolume of random with the whole budget: {target:.3f}\n")
    print(speed_table(curves, target, budget), end="\n\n")
    print(duel_table(curves, OURS, [RANDOM, *stock], budget))
    parts = [name for name in curves if name not in stock]
    panels = {
        "against others": {name: curves[name] for name in [RANDOM, *stock, OURS]},
        "with and without each part": {name: curves[name] for name in parts},
    }
    write_figure(panels, target, OURS, options.to / "search_efficiency.png")


if __name__ == "__main__":
    raise SystemExit(one_line_errors(main))
