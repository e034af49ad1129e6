"""Private parts of Optuna that are used for want of public ones, as read in version 5.0."""

from __future__ import annotations

import copy
from collections.abc import Container, Sequence

from optuna import Study
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState


class PartOfStudy(Study):
    """A study of which a sampler sees the trials `seen` only; it shares the storage of the whole.

    Optuna does the same for its Hyperband pruner: samplers read trials by `_get_trials`.
    """

    def __init__(self, study: Study, seen: Sequence[FrozenTrial]) -> None:
        self.__dict__.update(study.__dict__)
        self._seen = seen

    def _get_trials(
        self,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
        use_cache: bool = False,
    ) -> list[FrozenTrial]:
        seen = [trial for trial in self._seen if states is None or trial.state in states]
        return copy.deepcopy(seen) if deepcopy else seen


def lines_read(journal: JournalFileBackend) -> int:
    """How many lines of its file the journal has read and found whole."""
    return len(journal._log_number_offset)
