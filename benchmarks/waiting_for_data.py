"""What share of its time a training loop waits for batches, under each preset of augmentation.

    mkdir -p runs/a && segnas init DATA --to runs/a/plan.yaml     # once a set
    python benchmarks/waiting_for_data.py runs/a runs/b                   # the loop as it is here
    python benchmarks/waiting_for_data.py runs/a --step-ms 20 50          # beside a GPU

The first trains a network of the `hybrid` space for some steps, by the plan of each folder, whose
cache is made where there is none; on a CPU one thread draws and trains, and its own seconds are
counted; on a GPU threads draw ahead, and each step is waited for. The second needs no GPU: in the
place of a step it waits so many milliseconds, in which threads draw ahead as they do for a GPU, one
to as many as there are cores. About a minute a row.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from time import perf_counter, sleep, thread_time

import torch
from prepared_search import network_on, read_plan
from rich.console import Console
from rich.table import Table

import trainers.trainer
from nas.cli.main import one_line_errors
from nas.config.run_config import RunConfig
from trainers.augment.config import Augment
from trainers.augment.presets import PRESETS
from trainers.data.cache import VolumeCache
from trainers.data.patches import PatchSampler
from trainers.data.prepare import prepare_data
from trainers.data.splits import Cases
from trainers.segmenter import best_device
from trainers.step.draw_ahead import Batches, draw_batches, drawn_ahead
from trainers.trainer import Trainer

WARM_UP = 3  # steps


class Clock:
    """Counts the seconds that an iterator of batches is waited for, and those between.

    `now`: reads them; `thread_time` are those of this thread's core, which neighbours do not share.
    """

    def __init__(self, now: Callable[[], float] = perf_counter) -> None:
        self.now = now
        self.waiting = self.working = 0.0
        self.steps = 0

    def timed(self, batches: Batches) -> Batches:
        """The same batches; the first `WARM_UP` are not counted."""
        last = self.now()
        with closing(batches):
            for number, batch in enumerate(batches):
                waited = self.now() - last
                started = self.now()
                yield batch
                if torch.cuda.is_available():
                    torch.cuda.synchronize()
                last = self.now()
                if number >= WARM_UP:
                    self.waiting += waited
                    self.working += last - started
                    self.steps += 1

    @property
    def row(self) -> list[str]:
        """Milliseconds of a step, of the wait for its batch, and the share of the wait."""
        whole = self.waiting + self.working
        each = [1000 * seconds / self.steps for seconds in (self.working, self.waiting)]
        return [*(f"{value:.1f}" for value in each), f"{100 * self.waiting / whole:.1f}%"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a table for each folder."""
    options = _options(arguments)
    torch.set_num_threads(options.threads)
    for folder in options.folders:
        config = read_plan(folder, options.settings)
        cache, cases = prepare_data(config.data, folder)
        patch = " x ".join(map(str, config.train.patch))
        table = Table(title=f"{folder.name}: {config.train.batch} patches of {patch}")
        table.add_column("augment")
        columns = ["GPU step, ms", "threads"] if options.step_ms else ["network"]
        for column in (*columns, "step, ms", "waits, ms", "share"):
            table.add_column(column, justify="right")
        for name in options.augment:
            rows = beside_a_gpu if options.step_ms else here
            for row in rows(name, config, cache, cases, options):
                table.add_row(name, *row)
        Console(width=100).print(table)


def here(
    name: str, config: RunConfig, cache: VolumeCache, cases: Cases, options: argparse.Namespace
) -> Iterator[list[str]]:
    """A training on this machine's device."""
    device = best_device()
    alone = device.type == "cpu" and options.threads == 1
    clock = Clock(thread_time if alone else perf_counter)
    network = network_on(options.network, config, cache).build(cache.channels, len(cache.classes))
    recipe = config.train.model_copy(
        update={
            "augment": Augment.model_validate(name),
            "epochs": 1,
            "steps_per_epoch": WARM_UP + options.steps,
        }
    )
    unvalidated = Cases(train=cases.train, validation=())
    training = Trainer(network, cache, unvalidated, recipe, device=device, seed=0)
    trainers.trainer.draw_batches = lambda *asked: clock.timed(draw_batches(*asked))
    training.run_epoch()
    yield [options.network, *clock.row]


def beside_a_gpu(
    name: str, config: RunConfig, cache: VolumeCache, cases: Cases, options: argparse.Namespace
) -> Iterator[list[str]]:
    """A loop that only waits, for each number of threads."""
    train = config.train
    begin: Callable[[], object] = partial(torch.set_num_threads, 1)
    for milliseconds in options.step_ms:
        for threads in range(1, (os.cpu_count() or 1) + 1):
            clock = Clock()
            sampler = PatchSampler(
                cache,
                cases.train,
                train.patch,
                train.batch,
                foreground=train.foreground,
                preset=PRESETS[name],
                **Augment.model_validate(name).model_dump(exclude={"preset"}),
            )
            count = WARM_UP + options.steps
            ahead = drawn_ahead(sampler.draw, sampler.read, count, threads, begin)
            for _ in clock.timed(ahead):
                sleep(milliseconds / 1000)
            yield [f"{milliseconds:g}", str(threads), *clock.row]


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folders", type=Path, nargs="+", help="of searches: with a plan or begun")
    parser.add_argument("--network", default="hybrid-m")
    parser.add_argument("--augment", nargs="+", default=list(PRESETS), choices=list(PRESETS))
    parser.add_argument("--steps", type=int, default=40, help="that are counted")
    parser.add_argument("--step-ms", type=float, nargs="+", default=[], help="of a GPU's step")
    parser.add_argument("--threads", type=int, default=1, help="of PyTorch, for the loop")
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="KEY=VALUE")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    raise SystemExit(one_line_errors(main))
