"""Damaged configurations: what a slip of the hand, another program or malice makes of good ones."""

import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nas.config import yaml_values
from nas.config.nested import leaves
from nas.config.yaml_file import to_yaml

CONFIGS = [p.read_text() for p in sorted((Path(__file__).parents[3] / "configs").glob("*.yaml"))]
SCALARS = [
    *("yes", "no", "on", "true", "False", "null", "~", "", "-", "?", ":", "*", "&a", "*a", "<<"),
    *("1:30", "12:30:00", "010", "0o10", "0x1F", "0b1", "1_000", "1e3", "1e-400", "1e999", ".nan"),
    *("-.inf", "2026-01-01", '"3"', "'7'", "3.0", "-0.0", "9" * 400, "9" * 5000, "1e400000000"),
    *("!!int x", "!!python/name:os.system", "!!binary aGk=", "!!set {a}", "!x 3", "{a: 1}", "[1]"),
    *("{}", "[]", "a: b", "- a", "|", ">", "%", "@", "`", "# c", "a #b", "~/x", "8GiB", "--- a"),
    *('"\\0"', '"\\uD800"', '"\\x07"', "\u202e", "\U0001f9e0", "٣", "é\u2028", "..."),
]
BOMBS = [
    *("[" * 20_000, "{a: " * 5_000, "- " * 20_000, "&a [*a, *a]", "&a {b: *a}", "x" * 50_000),
    "9" * 400 + "GB",
]
VALUES: list[Any] = [
    *(True, False, None, 0, 1, -1, 3, 3.0, 0.5, -0.0, 2**63, 10**200, 1e300, float("inf")),
    *(float("nan"), "", "3", "yes", "1:30", "010", "1e3", "0o10", "null", "~", "<<", "=", " a "),
    *("\n", "a: b", "a #b", "x" * 5000, "{", "é", "~/x", "8GiB", "(" * 500, "a{99999999999}"),
    *("(" * 90 + ")" * 90, [], {}, [1], [True], ["1"], [[1]], {"a": 1}, {1: 2}, {True: 1}),
    *({None: None}, [None] * 2000, {str(n): n for n in range(500)}),
]
ENDS = [
    *("name: again\n", "x: &a\n  y: *a\n", "<<: {seed: 3}\n", "? [a]\n: 1\n", "---\na: 1\n"),
    "".join(  # a billion laughs
        f"l{n}: &l{n} [{', '.join([f'*l{n - 1}' if n else 'ha'] * 10)}]\n" for n in range(12)
    ),
]
LAUGHS = ENDS[-1]


def another_value(draw: random.Random, text: str) -> str:
    places = list(re.finditer(r"(?<=: )[^#\n{]+?(?= *(?:#|\n))", text))
    if not places:
        return text
    place = draw.choice(places)
    value = draw.choice(BOMBS if draw.random() < 0.1 else SCALARS)
    return text[: place.start()] + value + text[place.end() :]


def a_line_twice(draw: random.Random, text: str) -> str:
    lines = text.splitlines()
    lines.insert(draw.randrange(len(lines)), draw.choice(lines))
    return "\n".join(lines)


def a_line_less(draw: random.Random, text: str) -> str:
    lines = text.splitlines()
    del lines[draw.randrange(len(lines))]
    return "\n".join(lines)


def other_signs(draw: random.Random, text: str) -> str:
    """A few signs of any alphabet, or none, in the place of others."""
    for _ in range(draw.randint(1, 4)):
        at = draw.randrange(len(text))
        signs = draw.choice([chr(draw.randrange(1, 0x250)), draw.choice(SCALARS), ""])
        text = text[:at] + signs + text[at + draw.randint(0, 3) :] or "\n"
    return text


def another_indent(draw: random.Random, text: str) -> str:
    lines = text.splitlines()
    at = draw.randrange(len(lines))
    lines[at] = draw.choice([" ", "\t", "  ", "      "]) + lines[at].lstrip()
    return "\n".join(lines)


def cut(draw: random.Random, text: str) -> str:
    return text[: draw.randrange(len(text))]


def grown(draw: random.Random, text: str) -> str:
    end = draw.choice(ENDS)
    return f"{text}\n{end}" if draw.random() < 0.7 else f"{end}{text}"


DAMAGES: list[Callable[[random.Random, str], str]] = [
    *(another_value, another_value, another_value, a_line_twice, a_line_less),
    *(other_signs, another_indent, cut, grown),
]


def damaged_text(seed: int) -> str:
    draw = random.Random(seed)
    text = draw.choice(CONFIGS)
    for _ in range(draw.choice([1, 1, 1, 2, 3])):
        text = draw.choice(DAMAGES)(draw, text.strip("\r\n\x85\u2028\u2029\x0b\x0c") or "name: x")
    return text


def with_odd_value(seed: int) -> tuple[str, str, Any]:
    """A configuration, the path of the value that was changed in it, and that value."""
    draw = random.Random(seed)
    values = yaml_values.load(draw.choice(CONFIGS))
    paths = [path for path, _ in leaves(values, within=(dict,))]
    path, value = draw.choice(paths), draw.choice(VALUES)
    if draw.random() < 0.2:
        path = draw.choice(["seed", "data", "search", "budget", "resources", "x" * 300])
    here = values
    *parents, last = path.split(".")
    for parent in parents:
        here = here[parent]
    here[last] = value
    return to_yaml(values), path, value
