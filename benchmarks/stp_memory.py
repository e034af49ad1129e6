"""How much memory does training on sparse tokens save?

    python benchmarks/stp_memory.py                # CPU: 96^3, 4 GB of memory, three minutes
    python benchmarks/stp_memory.py --device cuda --size 128

One training step in fp32 (forward, backward; no optimiser) of `unetr-p8` and `stp-mta-unetr-r90` at
the same input, each as it trains by default and the other way about: with the activations of what
is computed from all tokens kept, or computed again in the backward pass (`SparseUNETR.recompute`).
"kept" is what lies between the forward and the backward pass, "peak" the most at any time, with and
without the weights. On a CPU all tensors that live are added up; on CUDA the allocator tells.
"""

from __future__ import annotations

import argparse
import gc
from collections.abc import Sequence

import torch
from rich.console import Console
from rich.table import Table

from benchmarks.measured_memory import TrainingMemory, training_memory
from search_spaces.token_sparse import presets

DENSE, SPARSE = "unetr-p8", "stp-mta-unetr-r90"
ROWS = [(DENSE, None), (SPARSE, None), (SPARSE, False), (DENSE, True)]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--size", type=int, default=96, help="voxels along each axis")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--classes", type=int, default=14)
    options = parser.parse_args()
    shape = (options.batch, 1, *(options.size,) * 3)
    found = [measure(*row, shape, options.classes, torch.device(options.device)) for row in ROWS]
    console = Console()
    console.print(table(found, shape, options.device))
    plain, pruned = found[0], found[1]
    console.print(
        f"{SPARSE} / {DENSE}, as they train by default: kept {pruned.kept / plain.kept:.2f}, "
        f"peak {pruned.peak / plain.peak:.2f}, peak with weights "
        f"{(pruned.peak + pruned.weights) / (plain.peak + plain.weights):.2f}"
    )


def measure(
    preset: str,
    recompute: bool | None,
    shape: tuple[int, ...],
    classes: int,
    device: torch.device,
) -> TrainingMemory:
    """One training step of a new network."""
    torch.manual_seed(0)
    network = presets()[preset].build(shape[1], classes).to(device).train()
    network.recompute = recompute  # type: ignore[assignment]
    memory = training_memory(network, torch.randn(shape, device=device))
    del network
    gc.collect()
    return memory


def table(found: Sequence[TrainingMemory], shape: tuple[int, ...], device: str) -> Table:
    made = Table(title=f"Training step on {device}, input {'x'.join(map(str, shape))}, GB")
    for column in ("network", "activations", "weights", "kept", "peak", "with weights"):
        made.add_column(column, justify="left" if column == "network" else "right")
    for (name, recompute), memory in zip(ROWS, found, strict=True):
        again = name == SPARSE if recompute is None else recompute
        sizes = (memory.weights, memory.kept, memory.peak, memory.peak + memory.weights)
        made.add_row(
            name + (" (default)" if recompute is None else ""),
            "computed again" if again else "kept",
            *(f"{size / 1e9:.2f}" for size in sizes),
        )
    return made


if __name__ == "__main__":
    main()
