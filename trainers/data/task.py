"""What the networks of a search segment: how many channels, which classes, in which patches."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, ValidationError

from trainers.config import TrainConfig
from trainers.errors import UserError
from trainers.strict import Strict, left_out_at
from trainers.volumes.targets import Region, Targets

if TYPE_CHECKING:
    from trainers.data.cache import VolumeCache

TASK = "task.json"
Positive = Annotated[int, Field(gt=0)]


class Task(Strict):
    """Input channels, classes or regions, voxel size and patch of every network of a search.

    `classes[0]` is the background. `spacing` in mm, None where volumes keep their own. `patch` in
    voxels. `voxel_size`: the median of the training files' own, mm; None where it was not recorded.
    `modalities`: the names of the channels; empty where they were not. `regions`, `ignore`: as in
    `Targets`. `lowest[channel]`: the value from which on that channel of the median training file
    has Hounsfield units; None where it has others. Empty where none has any, or it was not
    recorded.
    """

    channels: Positive
    classes: tuple[str, ...]
    spacing: tuple[float, float, float] | None
    patch: tuple[Positive, Positive, Positive]
    voxel_size: tuple[float, float, float] | None = None
    modalities: tuple[str, ...] = Field(default=(), exclude_if=lambda names: not names)
    regions: tuple[Region, ...] = Field(default=(), exclude_if=lambda regions: not regions)
    ignore: int | None = Field(default=None, exclude_if=lambda value: value is None)
    lowest: tuple[float | None, ...] = left_out_at(())

    @property
    def targets(self) -> Targets:
        """What the channels of a network's logits stand for."""
        return Targets(self.classes, self.regions, self.ignore)

    @classmethod
    def of(cls, cache: VolumeCache, train: TrainConfig) -> Task:
        """The task of training on these prepared data with this recipe."""
        return cls(
            channels=cache.channels,
            classes=cache.classes,
            spacing=cache.spacing,
            patch=train.patch,
            voxel_size=cache.voxel_size,
            modalities=cache.modalities,
            regions=cache.regions,
            ignore=cache.ignore,
            lowest=_lowest(cache),
        )

    @classmethod
    def read(cls, folder: Path) -> Task:
        """The task that a search recorded. Raises UserError where there is none."""
        try:
            return cls.model_validate_json((folder / TASK).read_bytes())
        except (OSError, ValidationError) as error:
            raise UserError(f"{folder} is no search: {TASK} is missing or damaged") from error

    def to_json(self) -> str:
        """What `read` reads."""
        return self.model_dump_json(indent=1)

    def write(self, folder: Path) -> None:
        """Record the task in a folder."""
        (folder / TASK).write_bytes(self.to_json().encode())


def _lowest(cache: VolumeCache) -> tuple[float | None, ...]:
    from trainers.data.check.parts import lowest_hounsfield  # what trials do not need

    cases = cache.check().cases
    lowest = tuple(lowest_hounsfield(cases, channel) for channel in range(cache.channels))
    return lowest if any(value is not None for value in lowest) else ()
