"""The Ray worker that trains a supernet, and scores networks with it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

from nas.engine.trial_worker import TrialWorker

if TYPE_CHECKING:
    from nas.engine.supernet.jobs import SupernetJobs
    from nas.engine.supernet.score_batch import ScoreBatch
    from nas.engine.supernet.train_supernet import TrainSupernet


class SupernetWorker(TrialWorker):
    """As a `TrialWorker`, whose evaluator is `SupernetJobs`, and whose trials are their jobs."""

    def setup(self, config: dict[str, Any]) -> None:
        """See `TrialWorker`; a training takes other threads than what is scored."""
        self._threads: int = config["settings"].threads
        super().setup(config)

    def _begin(self) -> TrainSupernet | ScoreBatch:
        import torch

        self._synchronise()
        record = json.loads(self._record)
        torch.set_num_threads(record.get("threads", self._threads))
        return cast("SupernetJobs", self._evaluator).start(record, self._attempt)
