"""A configuration as a YAML file: read strictly, with one clear message where it is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from nas.config import yaml_values
from nas.config.explain import explain, explain_problems
from nas.config.settings import change
from trainers.data.config import RECORDED
from trainers.errors import UserError
from trainers.read_text import read_text

Model = TypeVar("Model", bound=BaseModel)
MOST = 128 << 10  # bytes of a configuration; PyYAML takes seconds for as many


class _Dumper(yaml.SafeDumper):
    """Quotes what YAML 1.1 or 1.2 would read as anything but text: `yes`, and `1e3`."""


for _tag, (_pattern, _) in yaml_values.CORE.items():
    _Dumper.add_implicit_resolver(_tag, _pattern, None)


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file. Raises UserError for any other file."""
    try:
        values = yaml_values.load(read_text(path, "YAML", MOST))
    except yaml.YAMLError as error:
        raise UserError(f"{path} is no YAML: {yaml_values.problem(error)}") from error
    if not isinstance(values, dict):
        raise UserError(f"{path} {_content(values)}; expected keys and values, such as `name: a`")
    return values


def _content(value: Any) -> str:
    words = {list: "is a list", str: "is text", type(None): "is empty"}
    return words.get(type(value), f"is {value!r} alone")


def read_config(
    model: type[Model], path: Path, settings: Iterable[str] = (), recorded: bool = False
) -> Model:
    """The file's values, changed by `key=value` settings, as a checked `model`.

    recorded: a run wrote the file; see `trainers.data.config.RECORDED`. Raises UserError with every
    key that does not fit.
    """
    values = read_yaml(path)
    for setting in settings:
        change(values, setting)
    try:
        return model.model_validate(values, context=RECORDED if recorded else None)
    except ValidationError as error:
        raise UserError(explain(error, model, str(path))) from None


def check_settings(
    model: type[BaseModel], values: Mapping[str, Any], settings: Iterable[str]
) -> None:
    """Raise UserError for `key=value` settings of a `model` whose other values are not known yet.

    `values`: any that fit, in the place of those. Refused are keys that there are not, and values
    that do not fit their keys, but not those that do not go together with others.
    """
    changed = deepcopy(dict(values))
    for setting in settings:
        change(changed, setting)
    try:
        model.model_validate(changed)
    except ValidationError as error:
        wrong = [dict(problem) for problem in error.errors() if _is_of_one_key(dict(problem))]
        if wrong:
            raise UserError(explain_problems(wrong, model, "--set")) from None


def _is_of_one_key(problem: Mapping[str, Any]) -> bool:
    together = isinstance(problem["input"], dict | BaseModel)
    return problem["type"] == "extra_forbidden" or not together


def write_config(config: BaseModel, path: Path) -> None:
    """Write `config` as YAML that `read_config` reads."""
    path.write_text(config_yaml(config))


def config_yaml(config: BaseModel) -> str:
    """`config` as YAML text, defaults included."""
    return to_yaml(config.model_dump(mode="json"))


def to_yaml(values: Any) -> str:
    """Plain values as YAML text, in ASCII; `yaml_values.load` gives them back."""
    return yaml.dump(values, Dumper=_Dumper, sort_keys=False)


def flow_yaml(value: Any) -> str:
    """A plain value as YAML on one line: `[1, 2]`."""
    text: str = yaml.dump(value, Dumper=_Dumper, default_flow_style=True, width=float("inf"))
    return text.removesuffix("...\n").strip()
