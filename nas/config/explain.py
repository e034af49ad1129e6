"""What is wrong with a configuration, a line for each key: where, what was found, what would do."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from trainers.data.intensities import BY_KEY
from trainers.errors import shortened

MOST_LINES = 20
LINE = 2000  # characters
EXPECTED = {  # by pydantic's type of error, where its own words are a programmer's
    "bool_type": "expected true or false",
    "byte_size": "expected bytes, or text with a unit such as 8GiB",
    "dict_type": "expected keys and values",
    "model_type": "expected keys and values",
    "path_type": "expected a path",
    "too_long": "expected {max_length} items, not {actual_length}",
    "tuple_type": "expected a list, such as [1, 2, 3]",
}


def explain(error: ValidationError, model: type[BaseModel], source: str) -> str:
    """One line for every key that does not fit: where, what was found, what would do."""
    return explain_problems([dict(problem) for problem in error.errors()], model, source)


def explain_problems(
    problems: Sequence[Mapping[str, Any]], model: type[BaseModel], source: str
) -> str:
    """The same of some of an error's `errors()`."""
    lines = [
        shortened(" ".join(_explain_one(problem, model).splitlines()), LINE)
        for problem in problems[:MOST_LINES]
    ]
    if more := len(problems) - len(lines):
        lines.append(f"and {more} more")
    return f"{source}: {lines[0]}" if len(lines) == 1 else "\n  ".join([f"{source}:", *lines])


def _explain_one(problem: Mapping[str, Any], model: type[BaseModel]) -> str:
    place, known = _place(problem["loc"], model, problem["type"] == "extra_forbidden")
    if problem["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(problem["loc"][-1])[:LINE], known, n=1)
        hint = f"Did you mean {near[0]}?" if near else f"There are: {', '.join(known)}"
        parent = place.rpartition(".")[0]
        return f"{place} is not a key{f' of `{parent}`' if parent else ''}. {hint}"
    if problem["type"] == "missing":
        return f"{place} is missing"
    if problem["type"] == "invalid_key":
        return f"{place} is no key: {problem['msg']}"
    told = problem["msg"].removeprefix("Value error, ")
    if expected := EXPECTED.get(problem["type"]):
        told = expected.format(**problem.get("ctx", {}))
    if not place:
        return told
    if isinstance(problem["input"], dict | BaseModel):
        return f"{place}: {told}"
    return f"{place} = {_written(problem['input'])}: {told}"


def _written(value: Any) -> str:
    """The value as YAML has it, as far as a line holds it."""
    words = {True: "true", False: "false", None: "null"}
    return words[value] if isinstance(value, bool | None) else shortened(repr(value))


def _place(
    location: tuple[str | int, ...], model: type[BaseModel], last_is_unknown: bool
) -> tuple[str, list[str]]:
    """The key as the user wrote it, and the keys known beside its last word.

    Pydantic's locations also hold the names of union members, which no YAML file has: a word that
    is no field of any model at its place is such a name, and picks that member; of a model that
    stands for its subclasses, as a source of data does, one of those. Below a mapping of models
    stand keys of the user's own, and so they do in a model that allows them.
    """
    words: list[str] = []
    models = [model]
    own = False  # whether the next word is such a key
    for i, word in enumerate(location):
        unknown = last_is_unknown and i == len(location) - 1
        field = str(word)
        if field.startswith("[") and not unknown:  # pydantic's, or a tag, of what is before it
            continue
        holders = [m for m in models if field in m.model_fields]
        is_key = own or (i > 0 and location[i - 1] == BY_KEY)
        is_key = is_key or any(m.model_config.get("extra") == "allow" for m in models)
        own = any(get_origin(m.model_fields[field].annotation) is dict for m in holders)
        if isinstance(word, int) or is_key or unknown or holders or not models:
            words.append(field if field.isprintable() else repr(field))
            if holders and not unknown:
                models = [inner for m in holders for inner in _models_in(m.model_fields[field])]
        else:
            members = [*models, *(kind for m in models for kind in m.__subclasses__())]
            models = [m for m in members if word in (m.__name__, _tag(m))] or models
    return ".".join(map(shortened, words)), [key for m in models for key in m.model_fields]


def _models_in(annotated: Any) -> list[type[BaseModel]]:
    """The models that a field's annotation, a union, an Annotated or an alias of them, names."""
    annotation = getattr(annotated, "annotation", annotated)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models_in(part)]


def _tag(model: type[BaseModel]) -> Any:
    source = model.model_fields.get("source")
    return None if source is None else source.default
