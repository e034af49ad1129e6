"""What the networks of a search read and say."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, ValidationError

from trainers.config import TrainConfig
from trainers.errors import UserError
from trainers.strict import Strict

if TYPE_CHECKING:
    from trainers.data.cache import VolumeCache

TASK = "task.json"
Positive = Annotated[int, Field(gt=0)]


class Task(Strict):
    """`classes[0]` is the background. `spacing` in mm, None where volumes keep their own."""

    channels: Positive
    classes: tuple[str, ...]
    spacing: tuple[float, float, float] | None
    patch: tuple[Positive, Positive, Positive]

    @classmethod
    def of(cls, cache: VolumeCache, train: TrainConfig) -> Task:
        """The task that these prepared data and this patch make."""
        return cls(
            channels=cache.channels,
            classes=cache.classes,
            spacing=cache.spacing,
            patch=train.patch,
        )

    @classmethod
    def read(cls, folder: Path) -> Task:
        """The task that a search recorded. Raises UserError where there is none."""
        try:
            return cls.model_validate_json((folder / TASK).read_bytes())
        except (OSError, ValidationError) as error:
            raise UserError(f"{folder} is no search: {TASK} is missing or damaged") from error

    def write(self, folder: Path) -> None:
        """Record the task in a search's folder."""
        (folder / TASK).write_text(self.model_dump_json(indent=1))
