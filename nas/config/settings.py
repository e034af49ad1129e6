"""`key=value`, as `--set` takes it: a change of one value of a configuration."""

from __future__ import annotations

from typing import Any

import yaml

from nas.config import yaml_values
from trainers.errors import UserError, shortened


def change(values: dict[str, Any], setting: str) -> None:
    """Set one value of nested mappings, `train.epochs=3`. Raises UserError.

    The value is a number, true, false or null where it is one, YAML where it begins with a bracket,
    a brace or a quote, and else text, whole as it stands.
    """
    key, equals, text = setting.partition("=")
    if not equals or not key:
        raise UserError(f"--set {setting}: expected key=value, for example train.epochs=3")
    *parents, last = words = key.split(".")
    if "" in words:
        raise UserError(f"--set {setting}: {key!r} is not a key: it has an empty word")
    here = values
    for depth, parent in enumerate(parents, start=1):
        rest = ".".join(words[depth - 1 :])
        if rest in here:  # a key with dots, as those of space.restrict may be
            last = rest
            break
        inner = here.get(parent)
        if inner is None:
            inner = here[parent] = {}
        if not isinstance(inner, dict):
            above = ".".join(words[:depth])
            raise UserError(
                f"--set {setting}: {above} is {shortened(repr(inner))}, which has no keys; "
                f"set {above} itself"
            )
        here = inner
    here[last] = _value(text.strip(), setting)


def _value(text: str, setting: str) -> Any:
    if not text:
        raise UserError(f"--set {setting}: no value; write null for none, '\"\"' for empty text")
    try:
        if text[0] not in "[{\"'":
            return yaml_values.plain(text)
        value = yaml_values.load(text)
    except (yaml.YAMLError, ValueError) as error:
        why = yaml_values.problem(error)
        raise UserError(f"--set {setting}: {text!r} is no YAML value: {why}") from error
    if text[0] in "\"'" and not isinstance(value, str):
        raise UserError(f"--set {setting}: {text!r} is no YAML value: text follows the quote")
    return value
