"""The base of every configuration model: unknown keys are refused, and numbers are numbers."""

from numbers import Real
from pathlib import Path
from typing import Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    ValidatorFunctionWrapHandler,
    field_validator,
)
from pydantic_core import CoreSchema
from pydantic_core.core_schema import no_info_before_validator_function as before

from trainers.home import from_home

LARGEST = 2**63 - 1  # what a 64-bit integer holds, as PyTorch and NumPy count
KEPT = ("default", "metadata", "serialization")  # parts of a schema that check nothing


def left_out_at(default: Any) -> Any:
    """A field that is not written at its default: what was written before the field was there says
    the same, and so does its hash."""
    return Field(default=default, exclude_if=lambda value: value == default)


def _whole(value: Any) -> Any:
    """3.0 as 3, and NumPy's integers as Python's, which a strict int takes; else `value`."""
    number = isinstance(value, Real) and not isinstance(value, bool)
    return int(value) if number and value % 1 == 0 else value


def _real(value: Any) -> Any:
    """NumPy's numbers as Python's, which a strict float takes; else `value`."""
    return value if not isinstance(value, Real) or isinstance(value, int) else float(value)


def _no_boolean(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("true and false are no numbers")
    return value


def _strict(schema: Any, model: type, whole: bool = True) -> Any:
    """A schema of pydantic-core with strict numbers and booleans, however deep they are in it.

    Other models in that of `model` have seen to theirs. `whole`: 3.0 may stand for the integer 3.
    """
    if isinstance(schema, list):
        return [_strict(part, model, whole) for part in schema]
    if not isinstance(schema, dict):
        return schema
    kind = schema.get("type")
    if kind == "model" and schema["cls"] is not model:
        return schema
    if kind == "union":  # where 3.0 has a type of its own, it is no integer
        kinds = [choice["type"] for choice in schema["choices"] if isinstance(choice, dict)]
        whole = "float" not in kinds
    parts = {k: v if k in KEPT else _strict(v, model, whole) for k, v in schema.items()}
    if kind in ("bool", "float", "int"):
        parts["strict"] = True
    if kind == "int" and whole:
        if not {"le", "lt"} & parts.keys():
            parts["le"] = LARGEST
        return before(_whole, parts)
    if kind == "float":
        return before(_real, parts)
    if kind == "literal" and {0, 1} & set(parts["expected"]):
        return before(_no_boolean, parts)
    return parts


class Strict(BaseModel):
    """A frozen model that refuses keys it does not know.

    In its fields, however deep in tuples and mappings, true is not 1, "3" is not 3 and 1 is not
    true; 3.0 may stand for 3. Numbers are finite. A path may begin with `~`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        schema: CoreSchema = _strict(handler(source), cls)
        return schema

    @field_validator("*", mode="wrap")
    @classmethod
    def _paths(cls, value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
        found = validate(value)
        if isinstance(found, Path) and value == "":
            raise ValueError("an empty path; expected a path, of which . is this folder's")
        return from_home(found) if isinstance(found, Path) else found
