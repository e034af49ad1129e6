"""Is a latency measured during a search that of the idle machine?

    python benchmarks/isolation.py                          # two CPU cores, about 20 minutes
    python benchmarks/isolation.py --networks 2 --repeats 2 --seconds 0.2    # says nothing

Random networks of the space of configs/quickstart.yaml are measured by the search's own probe:

    idle     nothing else runs; CV is the variation of the p50 over the repeats
    locked   beside two real trainings that pause at the machine lock, as the trials of a search do
    beside   for comparison, beside the same trainings without a lock

Every measurement is compared with the median of the idle ones; of each kind the table has the
median and, in brackets, the one farthest from 1. `noise` is the probe's own figure, the difference
of two runs of one network. The bars: every locked p50 within 10% of idle, every CV below 3%. Run it
on a machine where nothing else does.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import sleep
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from nas.config.run_config import RunConfig
from nas.config.yaml_file import read_config
from nas.cost.latency import Latency
from nas.cost.latency_probe import Failure, ProbeTask
from nas.cost.latency_probe.machine_lock import MachineLock, lock_name
from nas.engine.open_prober import open_prober
from search_spaces.space import Architecture, RandomTrial
from trainers.data.cache import VolumeCache
from trainers.data.prepare import prepare_data
from trainers.data.splits import Cases
from trainers.trainer import Trainer

CONFIG = Path(__file__).parents[1] / "configs" / "quickstart.yaml"
BETWEEN = 1.0  # seconds of training between two measurements
NEAR, STEADY = 0.10, 0.03  # the bars


@dataclass(frozen=True)
class Figures:
    """The p50s of one network, in ms, and the noise that the probe found when idle."""

    idle: list[float]
    locked: list[float]
    beside: list[float]
    noise: float

    @property
    def cv(self) -> float:
        """Standard deviation of the idle p50s by their mean."""
        return statistics.stdev(self.idle) / statistics.mean(self.idle)

    def ratios(self, kind: str) -> tuple[float, float]:
        """The median to that of idle, and the single measurement farthest from it."""
        base = statistics.median(self.idle)
        ratios = [value / base for value in getattr(self, kind)]
        return statistics.median(ratios), max(ratios, key=lambda ratio: abs(ratio - 1))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--networks", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=5, help="measurements of a kind, 2 or more")
    parser.add_argument("--seconds", type=float, default=2.0, help="of a measurement's run")
    parser.add_argument("--trials", type=int, default=2, help="trainings side by side")
    parser.add_argument("--device", default="cpu", help="of the probe and of the trainings")
    options = parser.parse_args()
    config = read_config(RunConfig, CONFIG)
    space, restrict = config.space.space(), config.space.restrict
    networks = [space.sample(RandomTrial(seed), restrict) for seed in range(options.networks)]
    with tempfile.TemporaryDirectory() as folder:
        data = prepare_data(config.data, Path(folder))
        lock = lock_name(Path(folder))
        measure = partial(measured, networks, options, config, data)
        train = partial(trainings, options, config, data)
        idle = measure(None)
        with train(lock):
            locked = measure(lock)
        with train(None):
            beside = measure(None)
    console = Console()
    console.print(f"{idle[0][0].conditions.text()}; {options.trials} trainings", soft_wrap=True)
    figures = [
        Figures(*map(p50s, kinds), max(latency.noise for latency in kinds[0]))
        for kinds in zip(idle, locked, beside, strict=True)
    ]
    console.print(table(networks, figures))
    for line in verdict(figures):
        console.print(line, soft_wrap=True)


def p50s(latencies: Sequence[Latency]) -> list[float]:
    return [latency.p50_ms for latency in latencies]


def measured(
    networks: Sequence[Architecture],
    options: argparse.Namespace,
    config: RunConfig,
    data: tuple[VolumeCache, Cases],
    lock: str | None,
) -> list[list[Latency]]:
    """So many latencies of each network, round after round."""
    changes = {"patch": config.train.patch, "seconds": options.seconds, "repeats": 10_000}
    cache = data[0]
    task = ProbeTask(
        channels=cache.channels,
        classes=len(cache.classes),
        latency=config.latency.model_copy(update=changes),
        device=options.device,
        machine_lock=lock,
    )
    latencies: list[list[Latency]] = [[] for _ in networks]
    with closing(open_prober(task)) as prober:
        for _ in range(options.repeats):
            for network, its in zip(networks, latencies, strict=True):
                sleep(BETWEEN)
                prober.submit([network])
                while (answers := prober.poll(1.0)) is None:
                    pass
                (answer,) = answers
                if isinstance(answer, Failure):
                    raise SystemExit(f"{network.key}: {answer.reason}")
                its.append(answer)
    return latencies


@contextmanager
def trainings(
    options: argparse.Namespace,
    config: RunConfig,
    data: tuple[VolumeCache, Cases],
    lock: str | None,
) -> Iterator[None]:
    """Trainings in processes of their own, until the block ends."""
    context = multiprocessing.get_context("spawn")
    cache, cases = data
    begun = [context.Event() for _ in range(options.trials)]
    processes = [
        context.Process(
            target=train, args=(seed, config, options.device, cache.folder, cases, lock, event)
        )
        for seed, event in enumerate(begun, start=1000)
    ]
    try:
        for process in processes:
            process.start()
        for process, event in zip(processes, begun, strict=True):
            while not event.wait(1.0):
                if not process.is_alive():
                    raise SystemExit("a training ended before its first epoch did; see above")
        yield
        if not all(process.is_alive() for process in processes):
            raise SystemExit("a training ended before the measurements did; see above")
    finally:
        for process in processes:
            process.kill()
            process.join()


def train(
    seed: int,
    config: RunConfig,
    device: str,
    folder: Path,
    cases: Cases,
    lock: str | None,
    begun: Any,
) -> None:
    """Train a random network for ever, at the machine lock where there is one, as a trial does."""
    torch.set_num_threads(1)
    network = config.space.space().sample(RandomTrial(seed), config.space.restrict)
    cache = VolumeCache.open(folder)
    synchronise: Callable[[], object] = (
        torch.cuda.synchronize if device.startswith("cuda") else lambda: None
    )

    def trainer(**changes: Any) -> Trainer:
        return Trainer(
            network.build(cache.channels, len(cache.classes)),
            cache,
            cases,
            config.train.model_copy(update={"epochs": 10**6, "steps_per_epoch": 20}),
            device=torch.device(device),
            seed=seed,
            **changes,
        )

    def run(training: Trainer) -> None:
        while True:
            training.run_epoch()
            begun.set()

    if lock is None:
        run(trainer())
    else:
        machine_lock = MachineLock.named(lock)
        with machine_lock.shared():
            run(trainer(pause=lambda: machine_lock.pause(synchronise)))


def table(networks: Sequence[Architecture], figures: Sequence[Figures]) -> Table:
    made = Table(title="Latency of one patch, p50")
    for column in ("network", "idle ms", "CV", "noise", "locked / idle", "beside / idle"):
        made.add_column(column, justify="left" if column == "network" else "right")
    for network, its in zip(networks, figures, strict=True):
        ratios = ("{:.3f} ({:.3f})".format(*its.ratios(kind)) for kind in ("locked", "beside"))
        idle = f"{statistics.median(its.idle):.2f}"
        made.add_row(network.key, idle, f"{its.cv:.1%}", f"{its.noise:.1%}", *ratios)
    return made


def verdict(figures: Sequence[Figures]) -> Iterator[str]:
    """Medians and worst over all networks, and whether the bars are met."""
    for kind in ("locked", "beside"):
        middle = statistics.median(its.ratios(kind)[0] for its in figures)
        worst = max((its.ratios(kind)[1] for its in figures), key=lambda ratio: abs(ratio - 1))
        line = f"{kind} / idle: median {middle:.3f}, worst measurement {worst:.3f}"
        met = "met" if abs(worst - 1) <= NEAR else "missed"
        yield f"{line}; bar {met}: within {NEAR:.0%}" if kind == "locked" else line
    cvs, noises = [its.cv for its in figures], [its.noise for its in figures]
    met = "met" if max(cvs) < STEADY else "missed"
    yield (
        f"CV when idle: median {statistics.median(cvs):.1%}, worst {max(cvs):.1%}; "
        f"bar {met}: below {STEADY:.0%}"
    )
    yield f"noise when idle: median {statistics.median(noises):.1%}, worst {max(noises):.1%}"


if __name__ == "__main__":
    main()
