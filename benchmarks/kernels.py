"""How many kernels does a GPU launch for a network, and how many bytes do they move?

    python benchmarks/kernels.py
    python benchmarks/kernels.py --presets hybrid-s unet-s --against benchmarks/kernels.json
    python benchmarks/kernels.py --write benchmarks/kernels.json

A training step (forward, loss, backward; bf16, two patches) and a pass of one float32 image of
every preset, counted on the meta device: no GPU is needed, and nothing is timed. Eager PyTorch
spends some 20 us of host time a kernel, so that small networks take as long as they have kernels;
`roofline` is what an NVIDIA H200 needs for their bytes and products, whichever is more.

With `--against` the kernels of a stored census stand beside, and the exit status is 1 where a
preset has over `--allow` more. Takes a few minutes, a second or two a preset.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gpu.census import inference_counts, training_counts
from rich.console import Console
from rich.table import Table

from search_spaces.meta_network import gc_disabled
from search_spaces.registry import all_presets, find_preset
from search_spaces.space import Architecture

HOST_MS = 0.023  # a kernel, measured on one H200 with its 16 cores
BATCH = 2

Census = Mapping[str, Mapping[str, Any]]
"""By preset: `size`, and `training` and `inference`, the counts or the reason why there are none"""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--presets", nargs="+", help="(default: all)")
    parser.add_argument("--size", type=int, nargs=3, default=(40, 56, 40), help="at least, voxels")
    parser.add_argument("--against", type=Path, metavar="FILE", help="a census to compare with")
    parser.add_argument("--allow", type=int, default=20, help="kernels more (default: 20)")
    parser.add_argument("--write", type=Path, metavar="FILE", help="store this census")
    options = parser.parse_args(arguments)
    stored: Census = json.loads(options.against.read_text()) if options.against else {}
    found = {}
    with gc_disabled():
        for name in options.presets or sorted(all_presets()):
            found[name] = counted(find_preset(name), options.size)
            print(name, file=sys.stderr)
    console = Console(width=120)
    console.print(table(found, stored))
    if options.write:
        lines = (f"{json.dumps(name)}: {json.dumps(census)}" for name, census in found.items())
        options.write.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    if grown := more_kernels(found, stored, options.allow):
        console.print(f"over {options.allow} kernels more: {', '.join(grown)}", highlight=False)
    return 1 if grown else 0


def counted(architecture: Architecture, least: Sequence[int]) -> dict[str, Any]:
    """The census of one network on the smallest patch of at least that size that it takes."""
    strides = architecture.strides()
    size = [-(-n // s) * s for n, s in zip(least[: len(strides)], strides, strict=True)]
    return {
        "size": size,
        "training": _or_reason(lambda: asdict(training_counts(architecture, size, BATCH))),
        "inference": _or_reason(lambda: asdict(inference_counts(architecture, size))),
    }


def _or_reason(count: Callable[[], dict[str, Any]]) -> dict[str, Any] | str:
    try:
        return count()
    except (RuntimeError, NotImplementedError, ValueError) as error:
        return f"{type(error).__name__}: {error}".splitlines()[0]


def more_kernels(found: Census, stored: Census, allow: int) -> list[str]:
    """The presets and passes that have over `allow` kernels more than stored, with both."""
    return [
        f"{name} {kind} {before['kernels']} -> {now['kernels']}"
        for name in found.keys() & stored.keys()
        for kind in ("training", "inference")
        if isinstance(now := found[name][kind], dict)
        and isinstance(before := stored[name][kind], dict)
        and found[name]["size"] == stored[name]["size"]
        and now["kernels"] > before["kernels"] + allow
    ]


def table(found: Census, stored: Census) -> Table:
    """A row a preset and pass."""
    made = Table(title=f"{BATCH} patches of a training step in bf16, one of inference in fp32")
    for column in ("preset", "patch", "pass"):
        made.add_column(column)
    for column in ("kernels", "stored", "copies", "GB", "GMACs", "roofline ms", "launches ms"):
        made.add_column(column, justify="right")
    for name, census in found.items():
        for kind in ("training", "inference"):
            counts, before = census[kind], stored.get(name, {}).get(kind)
            size = "x".join(map(str, census["size"]))
            if isinstance(counts, str):
                made.add_row(name, size, kind, counts)
                continue
            made.add_row(
                name,
                size,
                kind,
                f"{counts['kernels']:,}",
                f"{before['kernels']:,}" if isinstance(before, dict) else "-",
                str(counts["copies"]),
                f"{counts['gigabytes']:.2f}",
                f"{counts['gigamacs']:.1f}",
                f"{counts['roofline_ms']:.2f}",
                f"{counts['kernels'] * HOST_MS:.1f}",
            )
    return made


if __name__ == "__main__":
    sys.exit(main())
