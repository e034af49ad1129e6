"""Which networks go into which format?

    python benchmarks/deploy_all.py
    python benchmarks/deploy_all.py --all --points 0
    python benchmarks/deploy_all.py --presets --formats onnx --precision fp16

The smallest preset of every family (`--all`: every one) and 50 random points of `hybrid`, with
random weights, written in every format and tried on batches that the writer never saw. One row a
network, then counts and the reasons of all refusals. A minute or two a network.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import torch

from nas.cost.latency.errors import LatencyError
from nas.cost.latency.evaluated import evaluated
from nas.export.deploy.formats import write_network
from search_spaces.registry import all_spaces, find_space
from search_spaces.space import Architecture, ArchitectureError, RandomTrial, spatial_dims
from trainers.errors import UserError

FORMATS = ("torchscript", "torch-export", "onnx")  # a bundle carries the first
CHANNELS, CLASSES = 1, 3


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--all", action="store_true", help="every preset")
    parser.add_argument("--presets", nargs="*", help="these alone")
    parser.add_argument("--points", type=int, default=50, help="random points of hybrid")
    parser.add_argument("--skip", type=int, default=0, help="points that are not tried again")
    parser.add_argument("--formats", nargs="+", default=FORMATS, choices=FORMATS)
    parser.add_argument("--precision", default="fp32", choices=("fp32", "fp16"))
    parser.add_argument("--size", type=int, default=32, help="least voxels along each axis")
    options = parser.parse_args()
    torch.set_num_threads(1)
    counts: Counter[tuple[str, str]] = Counter()
    reasons = []
    for name, architecture in networks(options):
        told = []
        for kind in options.formats:
            started = perf_counter()
            size = max(options.size, 2 * architecture.stride())  # a norm needs two voxels
            outcome, why = attempt(architecture, kind, size, options.precision == "fp16")
            counts[kind, outcome] += 1
            told.append(f"{kind}: {outcome} ({perf_counter() - started:.0f} s)")
            if why:
                reasons.append(f"{name}, {kind}: {why}")
        print(f"{name:32} {', '.join(told)}", flush=True)
    for (kind, outcome), count in sorted(counts.items()):
        print(f"{kind:14}{outcome:16}{count}")
    print(*reasons, sep="\n")


def networks(options: argparse.Namespace) -> Iterator[tuple[str, Architecture]]:
    """Presets of three axes whose stride divides the patch, then points of hybrid."""
    for space in all_spaces().values():
        presets = space.presets()
        if options.presets is not None:
            yield from ((n, a) for n, a in presets.items() if n in options.presets)
            continue
        fitting = {
            name: architecture
            for name, architecture in presets.items()
            if spatial_dims(architecture) == 3 and options.size % architecture.stride() == 0
        }
        sizes = {name: weights(architecture) for name, architecture in fitting.items()}
        for name in sorted(sizes, key=sizes.__getitem__)[: None if options.all else 1]:
            yield name, fitting[name]
    space, seed = find_space("hybrid"), 0
    for number in range(options.points):
        architecture = None
        while architecture is None or options.size % architecture.stride():
            architecture, seed = space.sample(RandomTrial(seed)), seed + 1
        if number >= options.skip:
            yield f"hybrid point {number} ({architecture.key})", architecture


def weights(architecture: Architecture) -> int:
    """How many."""
    with torch.device("meta"):
        return sum(p.numel() for p in architecture.build(CHANNELS, CLASSES).parameters())


def attempt(architecture: Architecture, kind: str, size: int, half: bool) -> tuple[str, str | None]:
    """What the file takes, or that it was refused and why."""
    torch.manual_seed(0)
    network = evaluated(architecture.build(CHANNELS, CLASSES))
    with TemporaryDirectory() as folder:
        try:
            dynamic, _ = write_network(
                network,
                kind,  # type: ignore[arg-type]
                (CHANNELS, size, size, size),
                [architecture.stride()] * 3,
                Path(folder) / "network",
                half,
            )
        except (UserError, LatencyError, ArchitectureError) as error:
            return "refused", str(error)
    if dynamic.sizes:
        return "batch and sizes", None
    return ("batch" if dynamic.batch else "one window"), None


if __name__ == "__main__":
    main()
