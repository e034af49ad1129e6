"""How busy many slots are kept, when trials do nothing but sleep: segnas and plain Ray Tune.

    python benchmarks/busy_slots.py --slots 32 --trials 192

Every trial sleeps for `--epochs` epochs of about `--seconds`. Ours is the whole engine: real asks
of the hybrid space, real costs, a real journal. Plain is Tune with OptunaSearch (TPE) over as many
knobs. The share is that of all slot-seconds spent asleep, from the moment when every slot has had a
trial until the last trial starts; the imports of the workers, 32 on two cores, come before it.
"""

from __future__ import annotations

import argparse
import os
import random
import tempfile
import time
from pathlib import Path

import ray
from ray import tune
from ray.tune.search.optuna import OptunaSearch

from nas.config.data_space import space_for
from nas.config.run_config import RunConfig
from nas.engine.cluster import QUIET, Cluster
from nas.engine.report import Fidelity, Report
from nas.engine.train_from_scratch import TrainFromScratch
from nas.engine.trial_files import TrialFiles
from nas.engine.trial_worker import WorkerSettings
from nas.engine.tune_run import run_trials
from nas.search.candidate_queue import CandidateQueue
from nas.search.components import study_settings
from nas.search.search_budget import SearchBudget
from nas.search.session import Session
from nas.search.time_account import TimeAccount
from nas.search.trial_judge import TrialJudge
from nas.study.study import Study
from nas.study.training_cost import TrainingCosts

Interval = tuple[float, float, float]  # which epoch of its trial, begin, end


class Sleeper(tune.Trainable):
    """Sleeps in place of training, and writes down when. Our session ends a trial by its last
    report; Tune alone wants to be told that it is done."""

    def setup(self, config: dict) -> None:
        self.epoch, self.config = 0, config

    def reset_config(self, config: dict) -> bool:
        self.setup(config)
        return True

    def step(self) -> dict:
        begin, mean = time.monotonic(), self.config["seconds"]
        time.sleep(random.uniform(0.5 * mean, 1.5 * mean))
        end = time.monotonic()
        with open(self.config["intervals"], "a") as file:  # noqa: PTH123
            file.write(f"{self.epoch} {begin} {end}\n")
        self.epoch += 1
        done = self.epoch == self.config["epochs"]
        dice = random.random()
        report = Report(
            fidelity=Fidelity(self.epoch),
            dice=dice,
            seconds=end - begin,
            curve=(dice,) * self.epoch,
            done=done,
        )
        told = {"report": report, "dice": dice, "params": 1.0}
        return told | ({"done": done} if self.config["plain"] else {})

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        pass

    def load_checkpoint(self, checkpoint: object) -> None:
        pass


def ours(options: argparse.Namespace, folder: Path) -> list[Interval]:
    config = RunConfig.model_validate(
        {
            "name": "busy",
            "data": {"source": "phantom"},
            "train": {"patch": [32, 32, 32], "epochs": options.epochs},
            "objectives": ["dice", "params"],
            "search": {"trials": options.trials, "confirm": 0, "early_stopping": None},
            "tracking": {"enabled": False},
        }
    )
    costs = TrainingCosts(config.train, config.resources, config.budget, 1, 4)
    within = space_for(config.space, None, config.train.patch)
    study = Study.open(folder, study_settings(config, within), costs)
    worker = with_settings(options, folder, plain=False)
    with Cluster(config.resources) as cluster:
        session = Session(
            study,
            CandidateQueue(study, config.budget, None),
            SearchBudget(config.search, config.train),
            TrialJudge(config.search, config.train, config.objectives),
            TrialFiles(folder, config.search.stall_minutes),
            TimeAccount(cluster.slots),
        )
        settings = WorkerSettings(
            directory=folder,
            volumes=folder,
            machine_lock="busy",
            evaluator=TrainFromScratch(config.train, config.seed, "cpu"),
            stall_minutes=config.search.stall_minutes,
        )
        if not run_trials(session, cluster, settings, worker):
            raise RuntimeError("the run ended before its trials")
    return intervals(folder)


def plain(options: argparse.Namespace, folder: Path) -> list[Interval]:
    space = {f"knob{n}": tune.choice([1, 2, 3, 4]) for n in range(20)}
    search = OptunaSearch(metric=["dice", "params"], mode=["max", "min"])
    tune.Tuner(
        with_settings(options, folder, plain=True),
        param_space=space,
        tune_config=tune.TuneConfig(
            search_alg=search,
            num_samples=options.trials,
            max_concurrent_trials=options.slots,
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(storage_path=str(folder / "ray"), verbose=0),
    ).fit()
    return intervals(folder)


def with_settings(options: argparse.Namespace, folder: Path, plain: bool) -> type[Sleeper]:
    settings = {
        "seconds": options.seconds,
        "epochs": options.epochs,
        "intervals": str(folder / "intervals.txt"),
        "plain": plain,
    }

    class Set(Sleeper):
        def setup(self, config: dict) -> None:
            super().setup({**config, **settings})

    return Set


def intervals(folder: Path) -> list[Interval]:
    lines = (folder / "intervals.txt").read_text().splitlines()
    return [tuple(map(float, line.split())) for line in lines]


def share(found: list[Interval], slots: int) -> tuple[float, float]:
    """(busy share, seconds) from the start of the `slots`-th trial to that of the last."""
    starts = sorted(begin for epoch, begin, _ in found if epoch == 0)
    first, last = starts[slots - 1], starts[-1]
    if last <= first:
        raise SystemExit("give more --trials: every slot needs several")
    asleep = sum(max(0.0, min(last, end) - max(first, begin)) for _, begin, end in found)
    return asleep / (slots * (last - first)), last - first


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slots", type=int, default=32)
    parser.add_argument("--trials", type=int, default=192)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=2.0)
    options = parser.parse_args()
    os.environ.update(QUIET)
    for name, run in (("segnas", ours), ("Ray Tune, OptunaSearch", plain)):
        with tempfile.TemporaryDirectory() as folder:
            ray.init(
                num_cpus=options.slots, num_gpus=0, include_dashboard=False, log_to_driver=False
            )
            found = run(options, Path(folder))
            ray.shutdown()
        busy, seconds = share(found, options.slots)
        print(f"{name:24s} {busy:6.1%} of {options.slots} slots busy, over {seconds:.0f} s")


if __name__ == "__main__":
    main()
