"""`postprocess.json` of an export: the steps that were chosen for its weights, and why."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from trainers.atomic import replace_files
from trainers.errors import UserError
from trainers.postprocess.choice import Choice
from trainers.strict import Strict
from trainers.volumes.steps import Steps

POSTPROCESS = "postprocess.json"


class PostprocessRecord(Strict):
    """`weights`: the `fingerprint` of those that were used. `cases`: on which it was chosen."""

    weights: str
    cases: tuple[str, ...]
    classes: dict[str, Choice]

    @property
    def steps(self) -> dict[str, Steps]:
        """Of the classes that have any."""
        return {name: one.steps for name, one in self.classes.items() if one.steps.used()}

    @classmethod
    def read(cls, folder: Path) -> PostprocessRecord | None:
        """That of an export; None where there is none. Raises UserError where it is damaged."""
        path = folder / POSTPROCESS
        try:
            return cls.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError) as error:
            raise UserError(
                f"{path} is damaged; choose again with segnas postprocess {folder}, or remove it"
            ) from error

    def write(self, folder: Path) -> None:
        """Put it into an export."""
        content = self.model_dump_json(indent=1, exclude_defaults=True)
        replace_files({folder / POSTPROCESS: content.encode()})
