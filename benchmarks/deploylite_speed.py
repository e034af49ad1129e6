"""Is `deploylite-m` as much smaller and faster than the standard transformer of its plan as meant?

    python benchmarks/deploylite_speed.py

The published targets are 75% fewer parameters and 3.5 times the speed. All presets run on the same
CPU and input, one after the other in every round. The median CPU time of a pass is what counts: on
a machine with other work it tells more than the clock. Takes about a minute.
"""

from __future__ import annotations

import argparse

import torch
from blocks import cpu_ms
from rich.console import Console
from rich.table import Table

from nas.cost.count import Cost, cost_of
from nas.cost.latency import device_name
from search_spaces.deploylite import presets

STANDARD = "deploylite-standard"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, default=96, help="voxels along each axis")
    parser.add_argument("--classes", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    networks = presets()
    shape = (options.size,) * 3
    costs = {name: cost_of(a, 1, options.classes, shape) for name, a in networks.items()}
    x = torch.randn(1, 1, *shape)
    built = {name: a.build(1, options.classes).eval() for name, a in networks.items()}
    times = cpu_ms(built, dict.fromkeys(built, x), options.rounds)
    Console().print(table(costs, times, shape, options.threads))


def table(
    costs: dict[str, Cost], times: dict[str, float], shape: tuple[int, ...], threads: int
) -> Table:
    """One row a network, each beside the standard one."""
    size = " x ".join(map(str, shape))
    made = Table(title=f"1 x {size} on {device_name(torch.device('cpu'))}, threads: {threads}")
    for column in ("network", "parameters", "fewer", "GMACs", "CPU ms", "times as fast"):
        made.add_column(column, justify="left" if column == "network" else "right")
    standard, slow = costs[STANDARD], times[STANDARD]
    for name, cost in costs.items():
        made.add_row(
            name,
            f"{cost.params:,}",
            f"{1 - cost.params / standard.params:.1%}",
            f"{cost.macs / 1e9:.2f}",
            f"{times[name]:.1f}",
            f"{slow / times[name]:.2f}",
        )
    return made


if __name__ == "__main__":
    main()
