"""What it is worth on a CPU to keep freed memory: training steps with and without, in turns.

    python benchmarks/freed_memory.py
    python benchmarks/freed_memory.py --presets hybrid-m --patch 96 96 96

Every figure is of a process of its own, one thread, batch 2: the median of `--steps` steps, the
page faults of one, and the most memory that the process had.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from resource import RUSAGE_SELF, getrusage
from statistics import median
from time import perf_counter

import torch
from rich.console import Console
from rich.table import Table

from search_spaces.registry import find_preset
from trainers.freed_memory import keep_freed_memory
from trainers.losses import segmentation_loss
from trainers.step import channels_last

WARM_UP = 3  # steps


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--presets", nargs="+", default=["hybrid-m", "unet-s", "lightmedseg"])
    parser.add_argument("--patch", type=int, nargs=3, default=[48, 64, 48])
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    table = Table(title=f"batch 2 of {'x'.join(map(str, options.patch))}, one thread")
    for column in ("network", "freed memory", "step, ms", "page faults", "memory, MiB"):
        table.add_column(
            column, justify="left" if column in ("network", "freed memory") else "right"
        )
    for name in options.presets:
        for _ in range(options.rounds):
            for keep in (False, True):
                with ProcessPoolExecutor(1, get_context("spawn")) as process:
                    run = process.submit(train, name, tuple(options.patch), options.steps, keep)
                    step, faults, most = run.result()
                told = "kept" if keep else "given back"
                table.add_row(name, told, f"{step:.0f}", f"{faults:,.0f}", f"{most:,.0f}")
    Console(width=100).print(table)


def train(
    name: str, patch: tuple[int, int, int], steps: int, keep: bool
) -> tuple[float, float, float]:
    """Milliseconds and page faults of a step, MiB of the process at its peak."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    if keep:
        keep_freed_memory()
    network, loss = channels_last(find_preset(name).build(1, 3)), segmentation_loss()
    optimizer = torch.optim.AdamW(network.parameters(), 1e-3)
    images = torch.randn(2, 1, *patch).contiguous(memory_format=torch.channels_last_3d)
    labels = torch.randint(0, 3, (2, 1, *patch), dtype=torch.uint8)

    def step() -> float:
        started = perf_counter()
        optimizer.zero_grad(set_to_none=True)
        loss(network(images), labels).backward()
        optimizer.step()
        return 1e3 * (perf_counter() - started)

    for _ in range(WARM_UP):
        step()
    before = getrusage(RUSAGE_SELF).ru_minflt
    times = [step() for _ in range(steps)]
    after = getrusage(RUSAGE_SELF)
    return median(times), (after.ru_minflt - before) / steps, after.ru_maxrss / 1024


if __name__ == "__main__":
    main()
