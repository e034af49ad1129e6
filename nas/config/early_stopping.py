"""When candidates are compared on their way, and how many of them go on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import Field, model_validator

from nas.config.removed import without_removed
from trainers.config import TrainConfig
from trainers.errors import UserError
from trainers.strict import Strict


class EarlyStopping(Strict):
    """When candidates are compared, and how many of them go on.

    `grace`: epochs before the first comparison; left out, `train.epochs / reduction**3`, rounded
    up. `reduction`: one in so many goes on at every rung, and rungs are so many times apart.
    `brackets`: groups of candidates that are compared among themselves, group s for the first time
    after `grace * reduction**s` epochs.
    """

    grace: Annotated[int, Field(gt=0)] | None = None
    reduction: Annotated[int, Field(gt=1)] = 3
    brackets: Annotated[int, Field(gt=0)] = 1

    @model_validator(mode="before")
    @classmethod
    def _without_ties(cls, values: Any) -> Any:
        return without_removed(values, "ties", "together")

    def rungs(self, train: TrainConfig) -> list[tuple[int, ...]]:
        """The epochs of every bracket's rungs, each one an epoch with a validation.

        They are `grace * reduction**(s + k)` for bracket s and k = 0, 1, ..., put off to the next
        validation and before the last epoch. Raises UserError where a bracket that was asked for
        has none; without a `grace` and with one bracket, a training may be too short to have any.
        """
        grace, rungs = self._grace(train), []
        for bracket in range(self.brackets):
            first = grace * self.reduction**bracket
            rungs.append(tuple(dict.fromkeys(self._from(first, train))))
            if not rungs[-1] and (self.grace or bracket):
                raise UserError(
                    f"search.early_stopping: bracket {bracket} (of {self.brackets}) would first "
                    f"compare after {first} epochs, train.epochs is {train.epochs}, with a "
                    f"validation every {train.validate_every}; use a smaller grace or fewer "
                    "brackets, or more epochs"
                )
        return rungs

    def fewer(self, train: TrainConfig) -> EarlyStopping | None:
        """With those of the brackets that have a rung in a training so short; None where none
        has."""
        firsts = (self._grace(train) * self.reduction**bracket for bracket in range(self.brackets))
        brackets = sum(any(True for _ in self._from(first, train)) for first in firsts)
        return self.model_copy(update={"brackets": brackets}) if brackets else None

    def _grace(self, train: TrainConfig) -> int:
        return self.grace or -(-train.epochs // self.reduction**3)

    def _from(self, epoch: int, train: TrainConfig) -> Iterator[int]:
        every = train.validate_every
        while (validated := -(-epoch // every) * every) < train.epochs:
            yield validated
            epoch *= self.reduction
