"""Records that are kept as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from pydantic import ConfigDict

from trainers.strict import Strict


class Record(Strict):
    """A frozen record of its fields, and of nothing else."""

    model_config = ConfigDict(allow_inf_nan=True)  # measured, not asked for

    def to_json(self) -> dict[str, Any]:
        return self.model_dump(mode="json")

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        return cls.model_validate(values)
