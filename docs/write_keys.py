"""Write keys.md, every key of a configuration with its values and its default, from the models.

    python docs/write_keys.py

A test compares the page with what this would write.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError

from nas.config.run_config import RunConfig
from trainers.data.registry import HERE
from trainers.strict import Strict

PAGE = Path(__file__).with_name("keys.md")
HEAD = """\
# All keys

Every key of a configuration, what it may be, and what it is where it is left out. Each table leads
to the page that explains its keys; [the configuration file](configuration.md) says how values are
read, and `--set KEY=VALUE` changes any of them.
"""
OWN = "Of this source alone, or with another default:"
AS_TRAIN = "As in `train` unless it is set here, with four times its `epochs`; and:"
# A section of the configuration, and the pages that explain it.
PAGES = {
    "data": ("own-data.md#the-configuration",),
    "space": ("spaces.md",),
    "train": (
        "configuration.md#optimiser-and-rates",
        "augmentation.md",
        "own-data.md",
        "retraining.md",
        "gpu.md",
    ),
    "retrain": ("retraining.md",),
    "budget": ("preview.md",),
    "search": ("searching.md",),
    "resources": ("cluster.md",),
    "latency": ("latency.md",),
    "tracking": ("mlflow.md#a-server",),
}
WHOLE = 9223372036854775807  # the largest integer there is: no limit to be told

Schema = Mapping[str, Any]


def page() -> str:
    """The whole page."""
    schema = RunConfig.model_json_schema()
    rows = {
        name: list(_rows(name, part, schema, name in schema["required"]))
        for name, part in schema["properties"].items()
    }
    plain = [row for name in rows if name not in PAGES for row in rows[name]]
    lines = [HEAD, *_table(plain)]
    trained = {row.replace("`train.", "`retrain.") for row in rows["train"]}
    for name, pages in PAGES.items():
        where = ", ".join(f"[{_title(path)}]({path})" for path in pages)
        lines += [f"## {name}", "", f"Explained in {where}.", ""]
        if name == "data":
            lines += _sources()
        elif name == "retrain":
            own = (row for row in rows[name] if row not in trained and ".patch`" not in row)
            lines += [AS_TRAIN, "", *_table(own)]
        else:
            lines += _table(rows[name])
    return "\n".join(lines)


def _title(where: str) -> str:
    text = (PAGE.parent / where.partition("#")[0]).read_text()
    return text.partition("\n")[0].strip("# ")


def _sources() -> Iterator[str]:
    """What all sources of data have (all but one at most), then what each has besides."""
    rows = {}
    for model in HERE:
        schema = model.model_json_schema()
        parts = {**schema["properties"]}
        source = parts.pop("source")["default"]
        required = schema.get("required", ())
        rows[source] = [
            row
            for name, part in parts.items()
            for row in _rows(f"data.{name}", part, schema, name in required)
        ]
    count = Counter(row for its in rows.values() for row in its)
    shared = [row for row in count if count[row] >= len(rows) - 1 and ".path`" not in row]
    yield from _table([f"| `data.source` | {', '.join(f'`{name}`' for name in rows)} | |", *shared])
    for source, its in rows.items():
        yield from [f"### {source}", "", OWN, "", *_table(row for row in its if row not in shared)]


def _table(rows: Iterable[str]) -> Iterator[str]:
    yield "| key | value | default |"
    yield "|---|---|---|"
    yield from rows
    yield ""


def _rows(key: str, part: Schema, root: Schema, required: bool = False) -> Iterator[str]:
    """A row for the key, or one for each key below it, or both where it takes something else than
    these."""
    found = [_resolved(one, root) for one in _choices(part)]
    models = [one for one in found if "properties" in one]
    others = [_value(one, root) for one in found if one not in models]
    others += [word for one in models if (word := _word(one["title"]))]
    default = _default(part, required)
    if not models:
        yield f"| `{key}` | {' or '.join(dict.fromkeys(others))} | {default} |"
        return
    if others:
        if len(models) == 1 and isinstance(part.get("default"), dict):
            default = "those below"
        yield f"| `{key}` | {' or '.join(others)}, or the keys below | {default} |"
    changed = part.get("default")  # of the model where it stands here
    changed = changed if isinstance(changed, dict) else {}
    told = {name: (one, below) for one in models for name, below in one["properties"].items()}
    for name, (one, below) in told.items():
        below = {**below, "default": changed[name]} if name in changed else below
        yield from _rows(f"{key}.{name}", below, root, name in one.get("required", ()))


def _choices(part: Schema) -> Sequence[Schema]:
    """What may stand there, one of them."""
    return part.get("anyOf") or part.get("oneOf") or [part]


def _word(title: str) -> str:
    """What the model of that name takes in the place of its keys: a word, which is one of them.
    Empty where it takes none, as it shows when it is tried."""
    [model] = [one for one in _models(Strict) if one.__name__ == title]
    for name, field in model.model_fields.items():
        words = [word for word in get_args(field.annotation) if isinstance(word, str)]
        with suppress(ValidationError):
            if words and all(getattr(model.model_validate(w), name) == w for w in words):
                return f"{', '.join(f'`{word}`' for word in words)} (its `{name}`)"
    return ""


def _models(model: type[Strict]) -> Iterator[type[Strict]]:
    """It, and all that are made of it."""
    yield model
    for one in model.__subclasses__():
        yield from _models(one)


def _resolved(part: Schema, root: Schema) -> Schema:
    name = part.get("$ref", "").rpartition("/")[2]
    return root["$defs"][name] if name else part


def _value(part: Schema, root: Schema) -> str:
    """What may stand there, in words."""
    part = _resolved(part, root)
    if len(several := _choices(part)) > 1:
        return " or ".join(dict.fromkeys(_value(one, root) for one in several))
    if "const" in part or "enum" in part:
        return ", ".join(f"`{value}`" for value in part.get("enum", [part.get("const")]))
    kind = part.get("type")
    if kind == "array":
        if items := part.get("prefixItems"):
            return f"a list of {len(items)}: {_value(items[0], root)}"
        return f"a list of: {_value(part.get('items', {}), root)}"
    if kind in ("integer", "number"):
        return f"{'whole number' if kind == 'integer' else 'number'}{_limits(part)}"
    if "properties" in part:
        return f"a mapping of {', '.join(f'`{name}`' for name in part['properties'])}"
    if isinstance(below := part.get("additionalProperties"), dict):
        return f"a mapping to: {_value(below, root)}"
    words = {
        "boolean": "`true`, `false`",
        "string": "text",
        "null": "`null`",
        "object": "a mapping",
    }
    return words.get(str(kind), "as explained there")


def _limits(part: Schema) -> str:
    signs = {"exclusiveMinimum": ">", "minimum": "≥", "exclusiveMaximum": "<", "maximum": "≤"}
    told = [
        f"{sign} {part[name]:g}" for name, sign in signs.items() if part.get(name, WHOLE) != WHOLE
    ]
    return f" {', '.join(told)}" if told else ""


def _default(part: Schema, required: bool) -> str:
    if required:
        return "has to be there"
    empty = {} if part.get("type") == "object" else None  # a default that is made each time
    return f"`{json.dumps(part.get('default', empty), ensure_ascii=False)}`"


if __name__ == "__main__":
    PAGE.write_text(page())
