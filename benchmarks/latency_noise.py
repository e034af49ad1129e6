"""How well does a latency repeat on this machine?

    python benchmarks/latency_noise.py

Ten random small networks of `hybrid` are measured again and again, alone one after the other and
interleaved. CV: standard deviation over mean of the medians of the repetitions; noise: the
difference between the two runs within a measurement, the largest of all repetitions; ratio: the
slowest repetition's median over the fastest's. Nothing else should run. Takes about ten minutes.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Sequence
from itertools import count, islice
from statistics import fmean, median, stdev

import torch
from rich.console import Console
from rich.table import Table

from nas.cost.count import cost_of
from nas.cost.latency import Latency, LatencyConfig, conditions_of
from nas.cost.latency.measure import measure_latency, measure_prepared, prepare
from search_spaces.registry import find_space
from search_spaces.space import Architecture, RandomTrial

CHANNELS, CLASSES = 1, 4


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--networks", type=int, default=10)
    parser.add_argument("--repetitions", type=int, default=8)
    parser.add_argument("--size", type=int, default=48, help="voxels along each axis")
    parser.add_argument("--macs", type=float, default=2e9, help="of the largest network")
    parser.add_argument("--seconds", type=float, default=2.0, help="of one run")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--backend", default="eager", help="eager, compile or onnxruntime")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    config = LatencyConfig(
        patch=(options.size,) * 3,
        seconds=options.seconds,
        threads=options.threads,
        backend=options.backend,
    )
    device = torch.device(options.device)
    points = small_networks(options.networks, config, options.macs)
    built = [point.build(CHANNELS, CLASSES) for point in points]
    console = Console()
    console.print(conditions_of(CHANNELS, config, device).text(), highlight=False)

    alone: list[list[Latency]] = []
    together: list[list[Latency]] = []
    order = random.Random(0)
    for repetition in range(options.repetitions):
        found = {
            n: measure_latency(built[n], CHANNELS, config, device)
            for n in order.sample(range(len(built)), len(built))
        }
        alone.append([found[n] for n in range(len(built))])
        together.append(
            measure_prepared([prepare(network, CHANNELS, config, device) for network in built])
        )
        console.print(f"{repetition + 1} of {options.repetitions}", highlight=False)
    for title, measurements in (("one after the other", alone), ("interleaved", together)):
        console.print(table(f"{options.repetitions} times, {title}", points, measurements, config))


def small_networks(number: int, config: LatencyConfig, macs: float) -> list[Architecture]:
    """The first random ones of at most so many MACs."""
    space, patch = find_space("hybrid"), config.patch
    assert patch is not None
    points = (space.sample(RandomTrial(seed)) for seed in count())
    fitting = (p for p in points if not any(length % p.stride() for length in patch))
    small = (p for p in fitting if cost_of(p, CHANNELS, CLASSES, patch).macs <= macs)
    return list(islice(small, number))


def table(
    title: str,
    points: Sequence[Architecture],
    measurements: Sequence[Sequence[Latency]],
    config: LatencyConfig,
) -> Table:
    """A row a network, and those of the median and the largest figures."""
    made = Table(title=title)
    for name in ("network", "GMACs", "p50 ms", "CV", "noise", "ratio"):
        made.add_column(name, justify="left" if name == "network" else "right")
    assert config.patch is not None
    rows = []
    for n, point in enumerate(points):
        macs = cost_of(point, CHANNELS, CLASSES, config.patch).macs
        rows.append(spread([latencies[n] for latencies in measurements]))
        made.add_row(point.key, f"{macs / 1e9:.3f}", *cells(rows[-1]))
    made.add_section()
    for name, of_all in (("median", median), ("largest", max)):
        made.add_row(name, "", *cells([of_all(column) for column in zip(*rows, strict=True)]))
    return made


def spread(latencies: Sequence[Latency]) -> tuple[float, float, float, float]:
    """Median p50 in ms, its CV, the largest noise, slowest over fastest."""
    medians = [latency.p50_ms for latency in latencies]
    cv = stdev(medians) / fmean(medians)
    noise = max(latency.noise for latency in latencies)
    return median(medians), cv, noise, max(medians) / min(medians)


def cells(figures: Sequence[float]) -> list[str]:
    """p50, CV, noise and ratio as text."""
    p50, cv, noise, ratio = figures
    return [f"{p50:.2f}", f"{cv:.1%}", f"{noise:.1%}", f"{ratio:.3f}"]


if __name__ == "__main__":
    main()
