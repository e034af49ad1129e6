"""Reading a run's YAML: safe, strict, and with one clear message where it is wrong."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError

from trainers.errors import UserError

Model = TypeVar("Model", bound=BaseModel)


class _Loader(yaml.SafeLoader):
    """YAML 1.2 numbers: `1e-3` is a number, not a string."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?$|^[-+]?\.(inf|Inf|INF)$|^\.(nan|NaN|NAN)$"),
    list("-+0123456789."),
)


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file. Raises UserError for any other file."""
    try:
        values = yaml.load(path.read_text(), _Loader)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}") from error
    except yaml.MarkedYAMLError as error:
        marks = [mark for mark in (error.context_mark, error.problem_mark) if mark]
        places = dict.fromkeys(f"line {mark.line + 1}" for mark in marks)
        told = ", ".join(text for text in (error.context, error.problem) if text)
        raise UserError(f"{path} is no YAML: {told} ({' to '.join(places)})") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is no YAML: {' '.join(str(error).split())}") from error
    if not isinstance(values, dict):
        raise UserError(f"{path} holds {type(values).__name__}; expected keys and values")
    return values


def read_config(model: type[Model], path: Path, settings: Iterable[str] = ()) -> Model:
    """The file's values, changed by `key=value` settings, as a checked `model`.

    Raises UserError with every key that does not fit.
    """
    values = read_yaml(path)
    for setting in settings:
        _set(values, setting)
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise UserError(explain(error, model, str(path))) from None


def write_config(config: BaseModel, path: Path) -> None:
    """Write `config` as YAML that `read_config` reads."""
    path.write_text(config_yaml(config))


def config_yaml(config: BaseModel) -> str:
    """`config` as YAML text, defaults included."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)


def _set(values: dict[str, Any], setting: str) -> None:
    key, equals, text = setting.partition("=")
    if not equals or not key:
        raise UserError(f"--set {setting}: expected key=value, for example train.epochs=3")
    try:
        value = yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        raise UserError(f"--set {setting}: {text!r} is no YAML value: {error}") from error
    *parents, last = key.split(".")
    here = values
    for parent in parents:
        inner = here.setdefault(parent, {})
        if not isinstance(inner, dict):
            inner = here[parent] = {}
        here = inner
    here[last] = value


def explain(error: ValidationError, model: type[BaseModel], source: str) -> str:
    """One line for every key that does not fit: where, what was found, what would do."""
    lines = [_explain_one(dict(problem), model) for problem in error.errors()]
    return f"{source}: {lines[0]}" if len(lines) == 1 else "\n  ".join([f"{source}:", *lines])


def _explain_one(problem: Mapping[str, Any], model: type[BaseModel]) -> str:
    place, known = _place(problem["loc"], model, problem["type"] == "extra_forbidden")
    if problem["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(problem["loc"][-1]), known, n=1)
        hint = f"Did you mean {near[0]}?" if near else f"There are: {', '.join(known)}"
        parent = place.rpartition(".")[0]
        return f"{place} is not a key{f' of `{parent}`' if parent else ''}. {hint}"
    if problem["type"] == "missing":
        return f"{place} is missing"
    message = problem["msg"].removeprefix("Value error, ")
    if not place:
        return message
    if isinstance(problem["input"], dict | BaseModel):
        return f"{place}: {message}"
    return f"{place} = {problem['input']!r}: {message}"


def _place(
    location: tuple[str | int, ...], model: type[BaseModel], last_is_unknown: bool
) -> tuple[str, list[str]]:
    """The key as the user wrote it, and the keys known beside its last word.

    Pydantic's locations also hold the names of union members, which no YAML file has: a word that
    is no field of any model at its place is such a name, and picks that member; of a model that
    stands for its subclasses, as a source of data does, one of those.
    """
    words: list[str] = []
    models = [model]
    for i, word in enumerate(location):
        unknown = last_is_unknown and i == len(location) - 1
        field = str(word)
        holders = [m for m in models if field in m.model_fields]
        if isinstance(word, int) or unknown or holders or not models:
            words.append(field)
            if holders and not unknown:
                models = [inner for m in holders for inner in _models_in(m.model_fields[field])]
        else:
            members = [*models, *(kind for m in models for kind in m.__subclasses__())]
            models = [m for m in members if word in (m.__name__, _tag(m))] or models
    return ".".join(words), [key for m in models for key in m.model_fields]


def _models_in(annotated: Any) -> list[type[BaseModel]]:
    """The models that a field's annotation, a union, an Annotated or an alias of them, names."""
    annotation = getattr(annotated, "annotation", annotated)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models_in(part)]


def _tag(model: type[BaseModel]) -> Any:
    source = model.model_fields.get("source")
    return None if source is None else source.default
