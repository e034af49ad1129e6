"""Records that are kept as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from trainers.strict import Strict


class Record(Strict):
    """A frozen record of its fields, and of nothing else."""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return self.model_dump(mode="json")

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`."""
        return cls.model_validate(values)
