"""What a search with shared weights does before its candidates, from its configuration."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from nas.config.run_config import RunConfig
from nas.engine.attempts import remove_attempts
from nas.engine.cluster import Cluster
from nas.engine.evaluator import Evaluator
from nas.engine.supernet.jobs import SupernetJobs
from nas.engine.supernet.train_together import SupernetTraining, gang, train_together
from nas.engine.supernet.worker import SupernetWorker
from nas.engine.trial_files import TrialFiles
from nas.engine.trial_worker import WorkerSettings
from nas.engine.tune_run import run_trials
from nas.export.shared_weights import SharedWeights
from nas.report.terminal_tables import clock
from nas.search.live_view import Screen
from nas.search.scoring import Scoring
from nas.search.supernet_record import SupernetRecord
from nas.search.supernet_stage import StageView, SupernetStage
from nas.search.time_account import TimeAccount
from nas.study.contenders import Contenders
from nas.study.scores import Scores
from nas.study.study_settings import StudySettings
from nas.study.training_cost import TrainingCosts
from nas.tracking import Tracker
from search_spaces.space import Architecture, to_params
from trainers.checkpoint import keep_weights_only
from trainers.errors import UserError
from trainers.supernet_recipe import SupernetRecipe

TRACES = "checkpoints/s*.hang.txt"  # of jobs that hung; a candidate's key has no s


def supernet_epochs(config: RunConfig) -> int | None:
    """Those of the shared weights, as far as the configuration says; None where hours say it.

    One epoch trains several networks a step, and takes so much more of the search's epochs.
    """
    search = config.search
    if search.supernet.epochs or search.budget == "hours":
        return search.supernet.epochs
    whole = search.supernet.share * search.all_epochs(config.train.epochs)
    return max(1, round(whole / SupernetRecipe().networks))


def epochs_before(config: RunConfig, directory: Path) -> int:
    """What the shared weights take of a search's epochs; 0 for those that train none.

    In a `directory` where their training began it stays what it was, also where a search goes on
    that has more epochs by now.
    """
    if config.search.strategy == "train":
        return 0
    begun = SupernetRecord.read(directory).epochs
    return SupernetRecipe().networks * (begun or supernet_epochs(config) or 0)


def check_epochs(config: RunConfig, directory: Path) -> None:
    """Raise UserError where the shared weights leave nothing of a search's epochs."""
    search, before = config.search, epochs_before(config, directory)
    if search.budget == "epochs" and before >= (whole := search.all_epochs(config.train.epochs)):
        raise UserError(
            f"search.supernet.epochs = {search.supernet.epochs}: with "
            f"{SupernetRecipe().networks} networks a step the supernet takes {before} of the "
            f"search's {whole} epochs, and candidates get none; expected fewer, or more "
            "search.trials or search.epochs"
        )


@dataclass(frozen=True)
class SupernetRun:
    """`settings`: of the study, whose scores are made here; `starts`: what the search tries first,
    which is scored first. `cases`: how many there are to validate."""

    config: RunConfig
    directory: Path
    shared: SharedWeights
    costs: TrainingCosts
    settings: StudySettings
    starts: Sequence[Architecture]
    cases: int

    def run(
        self,
        time: TimeAccount,
        cluster: Cluster,
        workers: WorkerSettings,
        screen: Screen,
        tracker: Tracker,
    ) -> bool:
        """Train the shared weights and score networks, as far as an earlier session did not.

        Returns False where Ctrl-C ended it before. Raises UserError where there can be no supernet.
        """
        record = SupernetRecord.read(self.directory)
        record.trained = record.trained and self.shared.file.is_file()
        stage = SupernetStage(
            TrialFiles(self.directory, self.config.search.stall_minutes),
            record,
            self._scoring(record),
            time,
            StageView(screen.on_message, screen.on_stage, tracker.supernet_epochs),
            threads=self.config.resources.cpus * (cluster.slots if cluster.here else 1),
            retries=self.config.search.retries,
        )
        tracker.supernet_epochs(record.curve)
        if stage.over:
            return True
        self.shared.write()
        self._tidy()
        for trace in self.directory.glob(TRACES):  # of earlier sessions, whose names come again
            trace.unlink()
        jobs = self._jobs(record)
        settings = replace(workers, evaluator=cast(Evaluator, jobs))  # which this worker knows
        if not record.trained and self.config.resources.gpus:
            cluster.start()
            if several := gang(cluster, self.config.resources, self.config.train.batch):
                cluster.check(self.directory)
                training = SupernetTraining(settings, settings.volumes)
                train_together(stage, several, training, cluster)
        ended = run_trials(stage, cluster, settings, SupernetWorker)
        if stage.failure:
            raise UserError(
                f"search.strategy = supernet: no weights can be shared: {stage.failure}"
            )
        if ended:
            with suppress(OSError):  # of a full disk: it is larger than it need be
                keep_weights_only(self.shared.file)
            self._tidy()
            screen.on_message(
                f"Supernet: {record.epochs} epochs in {clock(record.train_seconds)}, "
                f"{len(self._scores)} networks scored in {clock(record.scoring_seconds)}"
            )
        return ended

    def _tidy(self) -> None:
        """Of the attempts at a training that ended nothing is left."""
        with suppress(OSError):
            remove_attempts(self.shared.file.parent)

    @property
    def _scores(self) -> Scores:
        assert self.settings.scores is not None
        return self.settings.scores

    def _scoring(self, record: SupernetRecord) -> Scoring:
        own, hours = self.config.search.supernet, self.config.search.hours
        starts = [to_params(start) for start in self.starts]
        return Scoring(
            Contenders(self.settings, self._scores, starts),
            self._scores,
            record,
            own.candidates,
            min(own.cases, self.cases),
            math.inf if hours is None else 3600 * hours * own.scoring,
        )

    def _jobs(self, record: SupernetRecord) -> SupernetJobs:
        config, own = self.config, self.config.search.supernet
        return SupernetJobs(
            shared=self.shared,
            train=config.train,
            costs=self.costs,
            prior=self.settings.prior,
            seed=config.seed,
            device=config.resources.device,
            cases=own.cases,
            epochs=record.epochs or supernet_epochs(config),
            seconds=3600 * (config.search.hours or 0.0) * own.share,
        )
