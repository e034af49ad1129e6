"""A configuration as YAML with a comment for every value that was chosen."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nas.analysis.plan.choice import Choice
from nas.config.yaml_file import flow_yaml

WIDTH = 100
INDENT = "  "
LARGE = 1e5

Tree = Mapping[str, Any]  # mappings; leaves are plain values, or a Choice of one


def commented_yaml(tree: Tree, header: Sequence[str]) -> str:
    """`tree` as YAML: a leaf a line, its reason behind it, or above it where that is too long."""
    lines = [line for text in header for line in _comment(text, "")]
    return "\n".join([*lines, *_lines(tree, "")]) + "\n"


def plain(tree: Any) -> Any:
    """The values alone."""
    if isinstance(tree, Choice):
        return tree.value
    return {k: plain(v) for k, v in tree.items()} if isinstance(tree, Mapping) else tree


def _lines(tree: Tree, indent: str) -> Iterator[str]:
    for key, value in tree.items():
        if isinstance(value, Choice) and isinstance(value.value, Mapping) and value.value:
            yield from _comment(value.why, indent)
            value = value.value
        if isinstance(value, Mapping) and value:
            yield f"{indent}{flow_yaml(key)}:"
            yield from _lines(value, indent + INDENT)
            continue
        line = f"{indent}{flow_yaml(key)}: {_leaf(plain(value))}"
        why = value.why if isinstance(value, Choice) else ""
        if why and len(line) + len(why) + 4 <= WIDTH:
            yield f"{line}  # {why}"
        else:
            yield from _comment(why, indent)
            yield line


def _leaf(value: Any) -> str:
    """On one line; large round numbers with an exponent, which YAML 1.1 and 1.2 both read."""
    if isinstance(value, float) and value >= LARGE and float(f"{value:.1e}") == value:
        return f"{value:.1e}"
    return flow_yaml(value)


def _comment(text: str, indent: str) -> list[str]:
    """As lines of a comment."""
    begin = f"{indent}# "
    return textwrap.wrap(text, WIDTH, initial_indent=begin, subsequent_indent=begin)
