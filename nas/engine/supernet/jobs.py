"""The two jobs of a supernet's workers: to train it, and to score networks with its weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from nas.engine.evaluator import Workspace
from nas.export.shared_weights import SharedWeights
from nas.study.training_cost import TrainingCosts
from search_spaces.registry import architecture_record, load_architecture
from search_spaces.space import Architecture, Option
from trainers.config import TrainConfig
from trainers.data.splits import Cases

if TYPE_CHECKING:
    from nas.engine.supernet.score_batch import ScoreBatch
    from nas.engine.supernet.train_supernet import TrainSupernet
    from search_spaces.supernet import Supernet

TRAINING = "supernet"  # the name of the first job


@dataclass(frozen=True, kw_only=True)
class SupernetJob:
    """What a trial of the stage before the candidates works on; see `nas.engine.trial_source.Job`.

    `batch`: the networks to score; None to train the supernet, on so many `threads`.
    """

    name: str
    batch: Sequence[Architecture] | None = None
    threads: int = 1
    seed: int | None = None

    @property
    def record(self) -> dict[str, Any]:
        """As the worker reads it."""
        if self.batch is None:
            return {"threads": self.threads}
        return {"score": [architecture_record(one) for one in self.batch]}


@dataclass
class SupernetJobs:
    """Trains the supernet and scores networks; made once and sent to every worker.

    `train`: the recipe, whose epochs are `epochs`, or as many as fit into `seconds`. `costs`: what
    networks cost, and the budget that is kept to. `prior`: what is usual among them. `cases`: how
    many of the validation are used.
    """

    shared: SharedWeights
    train: TrainConfig
    costs: TrainingCosts
    prior: Mapping[str, Option]
    seed: int
    device: str
    cases: int
    epochs: int | None
    seconds: float
    workspace: Workspace | None = field(default=None, init=False)
    _trained: Supernet | None = field(default=None, init=False)

    def prepare(self, workspace: Workspace) -> None:
        """Remember where the volumes are; of the validation cases some are used, evenly spread."""
        names = workspace.cases.validation
        count = min(self.cases, len(names))
        chosen = tuple(names[i * len(names) // count] for i in range(count))
        some = Cases(workspace.cases.train, chosen, ())
        self.workspace = replace(workspace, cases=some)

    def start(
        self, record: Mapping[str, Any], attempt: str | None = None
    ) -> TrainSupernet | ScoreBatch:
        """Begin what the record of a `SupernetJob` says; a training goes on from its file, and
        writes one of this `attempt` where that has a name (`Attempts`)."""
        from nas.engine.supernet.score_batch import ScoreBatch
        from nas.engine.supernet.train_supernet import TrainSupernet

        assert self.workspace is not None, "prepare comes first"
        if "score" not in record:
            return TrainSupernet(self, self.workspace, attempt=attempt)
        if self._trained is None:
            self._trained = self.shared.open().to(self.device).eval()
        batch = [load_architecture(one) for one in record["score"]]
        return ScoreBatch(self, self.workspace, self._trained, batch)
