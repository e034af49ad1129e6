"""Workers for Ray Tune; light, so that their processes start at once."""

import os
import sys
import time
from dataclasses import dataclass

from ray import tune

from nas.engine.trial_worker import TrialWorker


@dataclass(frozen=True)
class Epoch:
    """As much of a report as the engine reads."""

    epoch: int
    done: bool
    pid: int


class Counting(tune.Trainable):
    """Counts to 4. A trial named in `hungry` takes memory that the monitor forbids, each time; one
    named in `broken` raises where that says."""

    def setup(self, config):
        self.epoch, self.key = 0, config["key"]
        self.directory = config["settings"].directory
        self._break("setup")

    def reset_config(self, config):
        self.setup(config)
        return True

    def step(self):
        time.sleep(0.05)
        self._break("step")
        if (self.directory / f"hungry-{self.key}").exists():
            self.held = b"x" * int((self.directory / "bytes").read_text())
            time.sleep(60)
        self.epoch += 1
        return {"report": Epoch(self.epoch, self.epoch == 4, os.getpid())}

    def _break(self, where):
        file = self.directory / f"broken-{self.key}"
        if file.exists() and file.read_text() == where:
            raise KeyError(where)

    def save_checkpoint(self, checkpoint_dir):
        pass

    def load_checkpoint(self, checkpoint):
        pass


class Listing(TrialWorker):
    """The true one, whose report tells what its process has imported, before it and after it."""

    def setup(self, config):
        self.before = loaded()
        super().setup(config)

    def step(self):
        report = super().step()["report"]
        threads, nice = os.environ.get("OMP_NUM_THREADS"), os.nice(0)
        told = Listed(report.done, report.reason, os.getpid(), self.before, loaded(), threads, nice)
        return {"report": told}


@dataclass(frozen=True)
class Listed:
    """As much of a report as is asked for, and what its process was."""

    done: bool
    reason: str | None
    pid: int
    before: set[str]
    after: set[str]
    threads: str | None
    niceness: int


def loaded():
    """The names of all modules of this process."""
    return {name for name, module in sys.modules.items() if module is not None}
