"""Hours and minutes, as numbers."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field


def _number_of(unit: str) -> BeforeValidator:
    """Refuses text and says what to write: `1:30` may be minutes and seconds, or hours."""

    def check(value: Any) -> Any:
        if isinstance(value, str):
            raise ValueError(f"expected a number of {unit}, such as 1.5 for one and a half")
        return value

    return BeforeValidator(check)


Hours = Annotated[float, Field(gt=0), _number_of("hours")]
Minutes = Annotated[float, Field(gt=0), _number_of("minutes")]
