"""How many architectures a second does the cost of one patch take, beside torch's counter alone?

    python benchmarks/cost_speed.py

Random points of a space are counted by `cost_of` (parameters, thop's MACs, torch's as the second
opinion) and, in turns, by the stock `FlopCounterMode` in a pass of the same network on the meta
device. CPU time of one core counts, building included in both: on a machine with other work it
tells more than the clock. Then the same points are asked for again. Takes about half a minute.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from time import process_time

import torch
from rich.console import Console
from rich.table import Table
from torch.utils.flop_counter import FlopCounterMode

from nas.cost.count import cost_of
from search_spaces.registry import find_space
from search_spaces.space import Architecture, RandomTrial, SearchSpace

CHANNELS, CLASSES = 1, 4
BAR = 25  # architectures a second


@dataclass
class Seconds:
    """CPU time of all points."""

    ours: float = 0.0
    stock: float = 0.0
    again: float = 0.0


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--space", default="hybrid")
    parser.add_argument("--size", type=int, default=96, help="voxels along each axis")
    parser.add_argument("--points", type=int, default=200)
    options = parser.parse_args()
    torch.set_num_threads(1)
    points = list(random_points(find_space(options.space), options.size, options.points + 1))
    seconds = measure(points[1:], points[0], (options.size,) * 3)
    Console().print(table(seconds, options.points))


def random_points(space: SearchSpace, size: int, count: int) -> Iterator[Architecture]:
    """Different points whose stride divides `size`."""
    seen: set[str] = set()
    seed = 0
    while len(seen) < count:
        point = space.sample(RandomTrial(seed))
        seed += 1
        if size % point.stride() == 0 and point.key not in seen:
            seen.add(point.key)
            yield point


def measure(points: list[Architecture], first: Architecture, patch: tuple[int, ...]) -> Seconds:
    """`first` is not timed: with it the libraries are imported."""
    seconds = Seconds()
    cost_of(first, CHANNELS, CLASSES, patch)
    stock_flops(first, patch)
    for point in points:
        started = process_time()
        cost = cost_of(point, CHANNELS, CLASSES, patch)
        seconds.ours += process_time() - started
        started = process_time()
        flops = stock_flops(point, patch)
        seconds.stock += process_time() - started
        assert 2 * (cost.macs - sum(cost.named.values())) <= flops <= cost.flops
    started = process_time()
    for point in points:
        cost_of(point, CHANNELS, CLASSES, patch)
    seconds.again = process_time() - started
    return seconds


def stock_flops(point: Architecture, patch: tuple[int, ...]) -> int:
    """FLOPs, without what no operator's formula covers."""
    with torch.device("meta"):
        network = point.build(CHANNELS, CLASSES).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.empty((1, CHANNELS, *patch), device="meta"))
    return counter.get_total_flops()


def table(seconds: Seconds, points: int) -> Table:
    """A row a way of counting."""
    made = Table(title=f"{points} random points, one core; at least {BAR} a second are meant")
    for column in ("", "ms each", "architectures a second", "share of the time"):
        made.add_column(column, justify="right" if column else "left")
    for name, spent in (
        ("cost_of", seconds.ours),
        ("FlopCounterMode alone", seconds.stock),
        ("cost_of, asked again", seconds.again),
    ):
        each = spent / points
        made.add_row(name, f"{each * 1e3:.3f}", f"{1 / each:,.1f}", f"{spent / seconds.stock:.3f}")
    return made


if __name__ == "__main__":
    main()
