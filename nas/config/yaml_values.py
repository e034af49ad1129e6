"""YAML text as values: the core schema of YAML 1.2.2 (section 10.3.2), nothing that surprises.

YAML 1.1, PyYAML's own schema, reads 1:30 as 90, 010 as 8 and yes as true; here they are text, 10
and text. A key that stands twice is refused, and so are aliases that would expand without end.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import yaml
from yaml.composer import Composer
from yaml.parser import Parser
from yaml.reader import Reader
from yaml.resolver import BaseResolver
from yaml.scanner import Scanner

from trainers.errors import shortened
from trainers.read_json import read_float, read_integer

MAX_DEPTH = 50  # levels of lists and mappings
MAX_SIZE = 1 << 20  # characters, aliases expanded

_TAG = "tag:yaml.org,2002:"
_MERGE = f"{_TAG}merge"


def _integer(text: str) -> int:
    return read_integer(text, {"0o": 8, "0x": 16}.get(text[:2], 10))


def _float(text: str) -> float:
    if text.lower().endswith(("inf", "nan")):
        return float(text.replace(".", ""))
    return read_float(text)


def _text(text: str) -> str:
    if re.search("[\0\ud800-\udfff]", text):
        raise ValueError(f"{text!r} is no text: it has a NUL or half a surrogate pair")
    return text


CORE: dict[str, tuple[re.Pattern[str], Callable[[str], Any]]] = {
    f"{_TAG}null": (re.compile(r"(?:null|Null|NULL|~|)\Z"), lambda text: None),
    f"{_TAG}bool": (
        re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z"),
        lambda text: text.lower() == "true",
    ),
    f"{_TAG}int": (re.compile(r"(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)\Z"), _integer),
    f"{_TAG}float": (
        re.compile(
            r"(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
            r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z"
        ),
        _float,
    ),
    f"{_TAG}str": (re.compile(""), _text),
}
"""By tag: the plain text that has it, where none before it fits, and how that is read."""


def load(text: str) -> Any:
    """The value of one YAML document; None for an empty one. Raises yaml.YAMLError."""
    node = _Nodes(text).get_single_node()
    return None if node is None else _value(node)


def plain(text: str) -> Any:
    """The number, boolean or null that plain text is, or the text. Raises ValueError."""
    return next(read(text) for pattern, read in CORE.values() if pattern.match(text))


class _Nodes(Reader, Scanner, Parser, Composer, BaseResolver):
    """The nodes of a document, of limited depth and size."""

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        for part in (Scanner, Parser, Composer, BaseResolver):
            part.__init__(self)
        self._open = 0
        self._extent: dict[int, tuple[int, int]] = {}  # id of a node: levels, characters

    def compose_node(self, parent: Any, index: Any) -> Any:
        mark, is_alias = self.peek_event().start_mark, self.check_event(yaml.AliasEvent)
        self._open += 1
        if self._open > MAX_DEPTH:
            raise _error(f"it is nested deeper than {MAX_DEPTH} levels", mark)
        node = super().compose_node(parent, index)
        self._open -= 1
        if not is_alias:
            self._extent[id(node)] = self._measure(node)
        elif id(node) not in self._extent:  # its anchor is still open
            raise _error("an alias stands within what it stands for", mark)
        levels, characters = self._extent[id(node)]
        if levels > MAX_DEPTH or characters > MAX_SIZE:
            raise _error("aliases make it too large; write out what is meant", mark)
        return node

    def _measure(self, node: Any) -> tuple[int, int]:
        if isinstance(node, yaml.ScalarNode):
            return 0, 1 + len(node.value)
        parts = node.value
        if isinstance(node, yaml.MappingNode):
            parts = [part for pair in parts for part in pair]
        extents = [self._extent[id(part)] for part in parts]
        return (
            1 + max((levels for levels, _ in extents), default=0),
            1 + sum(characters for _, characters in extents),
        )


_Nodes.add_implicit_resolver(_MERGE, re.compile(r"<<\Z"), None)
for _tag, (_pattern, _) in CORE.items():
    _Nodes.add_implicit_resolver(_tag, _pattern, None)


def _error(problem: str, mark: Any) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=mark)


def _value(node: yaml.Node) -> Any:
    """The value of a node; what an alias stands for is a copy of its own."""
    if isinstance(node, yaml.MappingNode) and node.tag == f"{_TAG}map":
        return _mapping(node)
    if isinstance(node, yaml.SequenceNode) and node.tag == f"{_TAG}seq":
        return [_value(part) for part in node.value]
    if not isinstance(node, yaml.ScalarNode) or node.tag not in CORE:
        name = node.tag.replace(_TAG, "!!")
        raise _error(f"the tag {name!r} is none of YAML's core schema", node.start_mark)
    pattern, read = CORE[node.tag]
    if not pattern.match(node.value):
        name = node.tag.removeprefix(_TAG)
        raise _error(f"{node.value!r} is no {name}", node.start_mark)
    try:
        return read(node.value)
    except ValueError as error:
        raise _error(str(error), node.start_mark) from error


def _mapping(node: yaml.MappingNode) -> dict[Any, Any]:
    own: dict[Any, Any] = {}
    merged: dict[Any, Any] = {}
    lines: dict[Any, int] = {}
    for key_node, value_node in node.value:
        if not isinstance(key_node, yaml.ScalarNode):
            raise _error("a key is a list or a mapping; expected a word", key_node.start_mark)
        key = "<<" if key_node.tag == _MERGE else _value(key_node)
        line = key_node.start_mark.line + 1
        if key in lines:
            raise yaml.YAMLError(
                f"{key_node.value!r} stands twice in one mapping, on line {lines[key]} and on "
                f"line {line}; keep one"
            )
        lines[key] = line
        if key_node.tag == _MERGE:
            merged = _merged(value_node)
        else:
            own[key] = _value(value_node)
    return {**merged, **own}


def _merged(node: yaml.Node) -> dict[Any, Any]:
    """What `<<` brings: a mapping, or several of which the earlier ones count."""
    parts = node.value if isinstance(node, yaml.SequenceNode) else [node]
    merged: dict[Any, Any] = {}
    for part in reversed(parts):
        if not isinstance(part, yaml.MappingNode):
            raise _error("<< has no mapping to merge", node.start_mark)
        merged |= _mapping(part)
    return merged


def problem(error: Exception) -> str:
    """What is wrong, in one line with the lines of the text that it concerns."""
    if not isinstance(error, yaml.MarkedYAMLError):
        return " ".join(str(error).split())
    marks = [mark for mark in (error.context_mark, error.problem_mark) if mark]
    places = dict.fromkeys(f"line {mark.line + 1}" for mark in marks)
    told = ", ".join(text for text in (error.context, error.problem) if text)
    return shortened(f"{told} ({' to '.join(places)})", 400)
