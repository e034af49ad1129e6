"""The base of every configuration model: unknown keys are refused, and numbers are numbers."""

from numbers import Real
from pathlib import Path
from typing import Any

from pydantic import (
    BaseModel,
    ConfigDict,
    GetCoreSchemaHandler,
    ValidatorFunctionWrapHandler,
    field_validator,
)
from pydantic_core import CoreSchema, core_schema

from trainers.home import from_home

LARGEST = 2**63 - 1  # what a 64-bit integer holds, as PyTorch and NumPy count


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


_BEFORE = {"int": _whole, "float": _real, "literal": _no_boolean}


def _strict(schema: Any) -> Any:
    """A schema of pydantic-core with strict numbers and booleans, however deep they are in it."""
    if isinstance(schema, list):
        return [_strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("type") == "function-before" and schema["function"] in _DONE:
        return schema  # of a model within this one
    parts = {
        key: part if key in ("default", "metadata", "serialization") else _strict(part)
        for key, part in schema.items()
    }
    kind = schema.get("type")
    if kind == "union" and any(_type(choice) == "float" for choice in schema["choices"]):
        parts["choices"] = [  # where 3.0 has a type of its own, it is no integer
            {**choice, "strict": True} if _type(choice) == "int" else _strict(choice)
            for choice in schema["choices"]
        ]
    if kind in ("bool", "float", "int"):
        parts["strict"] = True
    if kind == "int" and not {"le", "lt"} & schema.keys():
        parts["le"] = LARGEST
    if kind not in _BEFORE or (kind == "literal" and not {0, 1} & set(schema["expected"])):
        return parts
    return core_schema.no_info_before_validator_function(_BEFORE[kind], parts)


def _type(choice: Any) -> Any:
    return choice.get("type") if isinstance(choice, dict) else None


_DONE: list[Any] = [{"type": "no-info", "function": function} for function in _BEFORE.values()]


class Strict(BaseModel):
    """A frozen model that refuses keys it does not know.

    In its fields, however deep in tuples and mappings, true is not 1, "3" is not 3 and 1 is not
    true; 3.0 may stand for 3. Numbers are finite. A path may begin with `~`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        schema: CoreSchema = _strict(handler(source))
        return schema

    @field_validator("*", mode="wrap")
    @classmethod
    def _paths(cls, value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
        found = validate(value)
        if isinstance(found, Path) and value == "":
            raise ValueError("an empty path; expected a path, of which . is this folder's")
        return from_home(found) if isinstance(found, Path) else found
