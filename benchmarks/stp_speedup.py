"""How much faster are training and inference on sparse tokens?

    python benchmarks/stp_speedup.py                            # CUDA: 96^3 and 128^3
    python benchmarks/stp_speedup.py --device cpu --size 32     # any machine; says little

The two tasks of the paper (Zhou 2023, Tables 2 and 3), each with its pruning ratio and the decoder
of its published costs, beside the gains that it reports from one A100, in fp32 without TF32, the
paper's case, and in bf16: training in batches of 2 (forward, Dice and cross-entropy, backward,
AdamW), inference one volume at a time. Throughput is the median's, in volumes a second.

Training comes in three ways: as a search on this device does it, which keeps all activations where
their estimate fits and else goes by the network's own rule; with all of them kept, as the paper's
were; and with all computed again. The encoder (patches to token maps) and the decoder (maps to
logits), which pruning leaves as it is, are timed apart as well, forward and backward.
"""

from __future__ import annotations

import argparse
import gc
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from time import perf_counter

import torch
from rich.console import Console
from rich.table import Table
from torch import nn

from nas.cost.latency import device_name
from nas.cost.recompute import free_memory, keep_where_it_fits
from search_spaces.networks.sparse_unetr import SparseUNETR
from search_spaces.token_sparse import presets
from trainers.config import TrainConfig
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
    parser.add_argument("--precision", choices=PRECISIONS, nargs="+", default=list(PRECISIONS))
    parser.add_argument("--tf32", action="store_true", help="let fp32 products use TF32 on CUDA")
    parser.add_argument("--seconds", type=float, default=10.0, help="time for each figure")
    options = parser.parse_args()
    device = torch.device(options.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        parser.error("no CUDA device here; --device cpu --size 32 shows that it runs")
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = options.tf32
    for precision in options.precision:
        timing = Timing(device, precision, options.seconds, options.batch)
        Console().print(table(timing, options.size))


def table(timing: Timing, size: int | None) -> Table:
    """Both tasks, at their own sizes or at that one."""
    made = Table(title=f"Volumes a second, {device_name(timing.device)}, {timing.precision}")
    for column in ("task", "what", "UNETR", "STP + MTA", "gain", "the paper's"):
        made.add_column(column, justify="left" if column in ("task", "what") else "right")
    for task in TASKS:
        for row in compare(task, size or task.size, timing):
            made.add_row(*row)
        made.add_section()
    return made


def compare(task: Task, size: int, timing: Timing) -> Iterator[Sequence[str]]:
    """A row of the table for each of `WHAT`, as it is measured."""
    for what, make, published in WHAT:
        dense, sparse = (
            throughput(make(task, name, size, timing), timing) for name in (task.dense, task.sparse)
        )
        told = published(task)
        yield (
            f"{task.name} {task.channels}x{size}^3",
            what,
            f"{dense:.3g}",
            f"{sparse:.3g}",
            f"{sparse / dense - 1:+.0%}",
            "" if told is None else f"{told:+.0%}",
        )


@dataclass(frozen=True)
class Work:
    """Something to do again and again, and how many volumes it does it to."""

    do: Callable[[], None]
    volumes: int


def training(task: Task, preset: str, size: int, timing: Timing, recompute: bool | None) -> Work:
    """One optimiser step; `recompute` None: as a search on this device has it."""
    network = build(task, preset, timing).train()
    if recompute is None:
        patch, precision = (size,) * 3, timing.precision
        config = TrainConfig(patch=patch, batch=timing.batch, precision=precision)
        free = free_memory(timing.device)
        keep_where_it_fits(network, presets()[preset], task.channels, task.classes, config, free)
    else:
        network.recompute = recompute
    optimizer = torch.optim.AdamW(network.parameters(), 1e-4)
    loss = segmentation_loss()
    x = volumes(task, size, timing, timing.batch)
    y = torch.randint(task.classes, (timing.batch, 1, *x.shape[2:]), device=timing.device)

    def step() -> None:
        with autocast(timing):
            logits = network(x)
        loss(logits.float(), y).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return Work(step, timing.batch)


def inference(task: Task, preset: str, size: int, timing: Timing) -> Work:
    """One volume segmented."""
    network, x = build(task, preset, timing).eval(), volumes(task, size, timing, 1)

    def segment() -> None:
        with torch.inference_mode(), autocast(timing):
            network(x)

    return Work(segment, 1)


def encoder(task: Task, preset: str, size: int, timing: Timing) -> Work:
    """Forward and backward from volumes to token maps."""
    network = build(task, preset, timing).train()
    x = volumes(task, size, timing, timing.batch)
    return there_and_back(network, lambda: sum_of(network.encode(x)), timing)


def decoder(task: Task, preset: str, size: int, timing: Timing) -> Work:
    """Forward and backward from token maps to logits."""
    network = build(task, preset, timing).train()
    x = volumes(task, size, timing, timing.batch)
    with torch.no_grad(), autocast(timing):
        maps = [each.requires_grad_() for each in network.encode(x)]
    return there_and_back(network, lambda: network.decoder(x, maps).float().sum(), timing)


def encoder_inference(task: Task, preset: str, size: int, timing: Timing) -> Work:
    """One volume to token maps."""
    network, x = build(task, preset, timing).eval(), volumes(task, size, timing, 1)

    def encode() -> None:
        with torch.inference_mode(), autocast(timing):
            network.encode(x)

    return Work(encode, 1)


def there_and_back(network: nn.Module, forward: Callable[[], torch.Tensor], timing: Timing) -> Work:
    """`forward` to a scalar and its gradients, which nobody uses."""

    def go() -> None:
        with autocast(timing):
            total = forward()
        total.backward()
        network.zero_grad(set_to_none=True)

    return Work(go, timing.batch)


def sum_of(maps: Sequence[torch.Tensor]) -> torch.Tensor:
    return torch.stack([each.float().sum() for each in maps]).sum()


def volumes(task: Task, size: int, timing: Timing, batch: int) -> torch.Tensor:
    return torch.randn(batch, task.channels, *(size,) * 3, device=timing.device)


WHAT: Sequence[
    tuple[str, Callable[[Task, str, int, Timing], Work], Callable[[Task], float | None]]
] = (
    ("training", partial(training, recompute=None), lambda task: task.training),
    ("training, activations kept", partial(training, recompute=False), lambda task: task.training),
    ("training, all computed again", partial(training, recompute=True), lambda task: None),
    ("encoder, forward and backward", encoder, lambda task: None),
    ("decoder, forward and backward", decoder, lambda task: None),
    ("inference", inference, lambda task: task.inference),
    ("encoder, inference", encoder_inference, lambda task: None),
)


def build(task: Task, preset: str, timing: Timing) -> SparseUNETR:
    torch.manual_seed(0)
    network = presets()[preset].build(task.channels, task.classes)
    assert isinstance(network, SparseUNETR)
    return network.to(timing.device)


def autocast(timing: Timing) -> torch.autocast:
    precision = PRECISIONS[timing.precision]
    return torch.autocast(timing.device.type, precision, enabled=precision != torch.float32)


def throughput(work: Work, timing: Timing) -> float:
    """Volumes a second, by the median; at least `LEAST` times after `WARMUP`."""
    for _ in range(WARMUP):
        work.do()
    times: list[float] = []
    started = perf_counter()
    while len(times) < LEAST or perf_counter() - started < timing.seconds:
        synchronise(timing.device)
        before = perf_counter()
        work.do()
        synchronise(timing.device)
        times.append(perf_counter() - before)
    gc.collect()
    return work.volumes / statistics.median(times)


def synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


if __name__ == "__main__":
    main()
