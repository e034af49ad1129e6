"""How far is the estimated memory of a training step from what a real one takes?

    python benchmarks/memory_accuracy.py                    # small presets of all families
    python benchmarks/memory_accuracy.py --all              # every preset; 10 GB of memory
    python benchmarks/memory_accuracy.py --precision bf16 --threads 2 --presets hybrid-s unetr-tiny
    python benchmarks/memory_accuracy.py --device cuda --size 96 96 96

Two steps of a real Trainer on noise, a process for each network. "estimate" is
`memory_of(...).training`. On a CPU "allocated" is the peak of the allocator's running total, told
by torch.profiler, which sees what operators take for themselves, and "resident" the growth of the
process (VmHWM, Linux) beyond training the same network on the smallest patch there is: compiled
kernels and what the C library keeps of freed memory add to it, the weights are not in it. On CUDA
the two are what the caching allocator gave out and what it reserved (max_memory_allocated,
max_memory_reserved). Sizes are rounded up to the network's stride.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.measured_memory import measured_peak, train_on_noise
from nas.cost.memory import memory_of
from search_spaces.registry import all_presets, find_preset
from search_spaces.space import Architecture
from trainers.config import TrainConfig

SMALL = [
    *("hybrid-xs", "hybrid-l", "hybrid-tokens", "hybrid-mamba", "hybrid-adaptive"),
    *("hybrid-ghost", "hybrid-routed", "slimformer3d-tiny", "unetr-tiny", "stp-mta-unetr-tiny"),
    *("apformer-xs", "apformer-3d-xs", "transunet-pruned", "lightmedseg-small", "lightmedseg"),
    *("deploylite-xs", "deploylite-m", "unet-s", "unet", "segresnet-s", "unetr-s"),
]
CHANNELS, CLASSES = 1, 3


@dataclass(frozen=True)
class Row:
    """Bytes, of a preset on patches of `size`."""

    preset: str
    size: tuple[int, ...]
    estimate: int
    allocated: int
    resident: int

    @property
    def ratio(self) -> float:
        """Of the estimate to what was allocated."""
        return self.estimate / self.allocated


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--presets", nargs="+", default=SMALL)
    parser.add_argument("--all", action="store_true", help="every preset")
    parser.add_argument("--size", type=int, nargs=3, default=(40, 56, 40), help="of the patch")
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--precision", default="fp32", choices=("fp32", "bf16", "fp16"))
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--threads", type=int, default=1, help="of the CPU")
    options = parser.parse_args()
    rows = []
    for preset in track(list(all_presets()) if options.all else options.presets):
        with ProcessPoolExecutor(1, get_context("spawn")) as alone:
            rows.append(alone.submit(measure, preset, options).result())
    console = Console()
    console.print(table(rows, options))
    worst = max(rows, key=lambda row: abs(row.ratio - 1))
    console.print(f"worst: {worst.preset}, estimate / allocated {worst.ratio:.3f}")


def measure(preset: str, options: argparse.Namespace) -> Row:
    """To be called in a process of its own."""
    torch.set_num_threads(options.threads)
    architecture, device = find_preset(preset), torch.device(options.device)
    stride = architecture.stride()
    depth, height, width = (-(-length // stride) * stride for length in options.size)
    config = TrainConfig(
        patch=(depth, height, width),
        batch=options.batch,
        epochs=1,
        steps_per_epoch=2,
        precision=options.precision,
    )
    if device.type == "cpu":
        growth = resident_growth(architecture, config)  # the profiler's records are memory too
        allocated = measured_peak(architecture, CHANNELS, CLASSES, config, device)
    else:
        allocated = measured_peak(architecture, CHANNELS, CLASSES, config, device)
        growth = torch.cuda.max_memory_reserved(device)
    estimate = memory_of(
        architecture,
        CHANNELS,
        CLASSES,
        config.patch,
        batch=config.batch,
        precision=options.precision,
        device=options.device,
        threads=options.threads,
    )
    return Row(preset, config.patch, estimate.training, allocated, growth)


def resident_growth(architecture: Architecture, config: TrainConfig) -> int:
    """Bytes by which training grows this process."""
    stride = architecture.stride()
    least = config.model_copy(update={"patch": (2 * stride, stride, stride)})
    train_on_noise(architecture, CHANNELS, CLASSES, least, torch.device("cpu"))
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak so far
    before = resident("VmRSS")
    train_on_noise(architecture, CHANNELS, CLASSES, config, torch.device("cpu"))
    return resident("VmHWM") - before


def resident(what: str) -> int:
    """Bytes of this process in memory: `VmRSS` now, `VmHWM` at most."""
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in status if line.startswith(what))


def table(rows: list[Row], options: argparse.Namespace) -> Table:
    threads = f", {options.threads} threads" if options.device == "cpu" else ""
    made = Table(title=f"Training on {options.device}{threads}, {options.precision}, MB")
    others = ("patch", "batch", "estimate", "allocated", "ratio", "resident")
    for column in ("preset", *others):
        made.add_column(column, justify="left" if column == "preset" else "right")
    for row in rows:
        sizes = [f"{size / 1e6:.1f}" for size in (row.estimate, row.allocated, row.resident)]
        patch = "x".join(map(str, row.size))
        made.add_row(
            row.preset, patch, str(options.batch), *sizes[:2], f"{row.ratio:.3f}", sizes[2]
        )
    return made


if __name__ == "__main__":
    main()
