"""How much faster are training and inference on sparse tokens?

    python benchmarks/stp_speedup.py                            # CUDA: 96^3 and 128^3
    python benchmarks/stp_speedup.py --device cpu --size 32     # any machine; says little

The two tasks of the paper (Zhou 2023, Tables 2 and 3), each with its pruning ratio and the decoder
of its published costs, beside the gains that it reports from one A100: training in batches of 2
(forward, Dice and cross-entropy, backward, AdamW), inference one volume at a time. Throughput is
the median's, in volumes a second. Pruned networks train twice: as they do by default, with
activations computed again to save memory, and with all of them kept, as the paper's were.
"""

from __future__ import annotations

import argparse
import gc
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

import torch
from rich.console import Console
from rich.table import Table
from torch import nn

from nas.cost.latency import device_name
from search_spaces.token_sparse import presets
from trainers.losses import segmentation_loss

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}
WARMUP, LEAST = 3, 5


@dataclass(frozen=True)
class Task:
    """A task of the paper, its two networks, and by how much the second is said to be faster."""

    name: str
    size: int
    channels: int
    classes: int
    dense: str
    sparse: str
    training: float
    inference: float


TASKS = (
    Task("BTCV", 96, 1, 14, "unetr-p8-btcv", "stp-mta-unetr-r90-btcv", 0.9736, 0.241),
    Task("BraTS", 128, 4, 3, "unetr-p8", "stp-mta-unetr-r75", 1.20, 0.606),
)


@dataclass(frozen=True)
class Timing:
    """How one case is timed."""

    device: torch.device
    precision: str
    seconds: float
    batch: int


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--size", type=int, help="voxels along each axis (default: the paper's)")
    parser.add_argument("--batch", type=int, default=2, help="volumes of a training step")
    parser.add_argument("--precision", choices=PRECISIONS, default="fp32")
    parser.add_argument("--tf32", action="store_true", help="let fp32 products use TF32 on CUDA")
    parser.add_argument("--seconds", type=float, default=10.0, help="time for each figure")
    options = parser.parse_args()
    device = torch.device(options.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        parser.error("no CUDA device here; --device cpu --size 32 shows that it runs")
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = options.tf32
    timing = Timing(device, options.precision, options.seconds, options.batch)
    made = Table(title=f"Volumes a second, {device_name(device)}, {options.precision}")
    for column in ("task", "what", "UNETR", "STP + MTA", "gain", "the paper's"):
        made.add_column(column, justify="left" if column in ("task", "what") else "right")
    for task in TASKS:
        for row in compare(task, options.size or task.size, timing):
            made.add_row(*row)
        made.add_section()
    Console().print(made)


def compare(task: Task, size: int, timing: Timing) -> list[tuple[str, ...]]:
    """The table's rows of one task."""
    label = f"{task.name} {task.channels}x{size}^3"
    rows = []
    for recompute in (None, False):
        dense, sparse = (
            throughput(training_step(task, name, size, timing, recompute), timing) * timing.batch
            for name in (task.dense, task.sparse)
        )
        what = "training" if recompute is None else "training, activations kept"
        rows.append((label, what, *compared(dense, sparse, task.training)))
    dense, sparse = (
        throughput(inference_pass(task, name, size, timing), timing)
        for name in (task.dense, task.sparse)
    )
    return [*rows, (label, "inference", *compared(dense, sparse, task.inference))]


def compared(dense: float, sparse: float, published: float) -> tuple[str, ...]:
    return f"{dense:.3g}", f"{sparse:.3g}", f"{sparse / dense - 1:+.0%}", f"{published:+.0%}"


def training_step(
    task: Task, preset: str, size: int, timing: Timing, recompute: bool | None
) -> Callable[[], None]:
    """A function that makes one optimiser step."""
    network = build(task, preset, timing).train()
    network.recompute = recompute  # type: ignore[assignment]
    optimizer = torch.optim.AdamW(network.parameters(), 1e-4)
    loss = segmentation_loss()
    x = torch.randn(timing.batch, task.channels, *(size,) * 3, device=timing.device)
    y = torch.randint(task.classes, (timing.batch, 1, *(size,) * 3), device=timing.device)

    def step() -> None:
        with autocast(timing):
            logits = network(x)
        loss(logits.float(), y).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def inference_pass(task: Task, preset: str, size: int, timing: Timing) -> Callable[[], None]:
    """A function that segments one volume."""
    network = build(task, preset, timing).eval()
    x = torch.randn(1, task.channels, *(size,) * 3, device=timing.device)

    def segment() -> None:
        with torch.inference_mode(), autocast(timing):
            network(x)

    return segment


def build(task: Task, preset: str, timing: Timing) -> nn.Module:
    torch.manual_seed(0)
    return presets()[preset].build(task.channels, task.classes).to(timing.device)


def autocast(timing: Timing) -> torch.autocast:
    precision = PRECISIONS[timing.precision]
    return torch.autocast(timing.device.type, precision, enabled=precision != torch.float32)


def throughput(work: Callable[[], None], timing: Timing) -> float:
    """Calls of `work` a second, by the median; at least `LEAST` after `WARMUP`."""
    for _ in range(WARMUP):
        work()
    times: list[float] = []
    started = perf_counter()
    while len(times) < LEAST or perf_counter() - started < timing.seconds:
        synchronise(timing.device)
        before = perf_counter()
        work()
        synchronise(timing.device)
        times.append(perf_counter() - before)
    del work
    gc.collect()
    return 1 / statistics.median(times)


def synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


if __name__ == "__main__":
    main()
