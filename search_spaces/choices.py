"""Fields that are searched, and records of them.

A frozen dataclass declares its searched fields once, by `choice` and `repeat`; sampling,
validation, listing, size and documentation are all read from that declaration.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import Field, dataclass, field, fields, replace
from typing import Any, Self

Option = bool | int | float | str


class ArchitectureError(ValueError):
    """A record that is no point of its space: the message names the field, what was found and what
    was expected."""


def choice(
    *options: Option,
    doc: str,
    when: Mapping[str, Sequence[Option]] | None = None,
    added_later: int = False,
    usual: Option | None = None,
    for_classes: bool = False,
) -> Any:
    """A searched field: one of `options`, the first by default.

    `when={"layers_count": (3, 4)}`: a choice only where the earlier field `layers_count` is 3 or 4,
    at its default elsewhere; of several conditions all must hold.
    `added_later`: added when records without this field were already on disk. They stand for its
    default, at which it is not written, so that the keys of old networks stay what they were. A
    number from 2 on where seeded searches were on disk, too: quasi-random proposals give the knobs
    of each number coordinates of their own, and the others keep theirs.
    `usual`: what people would build, and a search draws most often; left out, the default.
    `for_classes`: it counts channels that tell classes apart: at least as many are usual.
    """
    metadata = {
        "options": options,
        "doc": doc,
        "when": when or {},
        "added_later": added_later,
        "usual": options[0] if usual is None else usual,
        "for_classes": for_classes,
    }
    return field(default=options[0], metadata=metadata)


def repeat(kind: type[Part], count: str, doc: str) -> Any:
    """A searched tuple of records of type `kind`; the earlier field named `count` is its length."""
    return field(default=(), metadata={"kind": kind, "count": count, "doc": doc})


def searched_fields(part: Part | type[Part]) -> list[Field[Any]]:
    """The fields that are declared by `choice` or `repeat`, in order of declaration."""
    return [f for f in fields(part) if f.metadata]


def is_active(f: Any, values: Mapping[str, Any]) -> bool:
    """Whether the field `f` is a choice, given the `values` of the record's earlier fields."""
    when = f.metadata.get("when", {})
    return all(values[name] in options for name, options in when.items())


@dataclass(frozen=True, kw_only=True)
class Part:
    """A record of fields that are declared by `choice` or `repeat`."""

    def __post_init__(self) -> None:
        for f in searched_fields(self):
            value = getattr(self, f.name)
            where = f"{type(self).__name__}.{f.name}"
            if options := f.metadata.get("options"):
                if not any(value == o and type(value) is type(o) for o in options):
                    raise ArchitectureError(f"{where} = {value!r}; expected one of {list(options)}")
            else:
                count = getattr(self, f.metadata["count"])
                if len(value) != count:
                    raise ArchitectureError(
                        f"{where} has {len(value)} entries; {f.metadata['count']} says {count}"
                    )

    def canonical(self) -> Self:
        """The record that stands for all spellings of this network.

        Fields that are no choice are at their defaults; subclasses reset what else has no effect.
        """
        idle = {f.name: f.default for f in searched_fields(self) if not is_active(f, vars(self))}
        return replace(self, **idle)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, in the order of declaration; see `choice` for `added_later`."""
        return {
            f.name: [part.to_json() for part in value] if isinstance(value, tuple) else value
            for f in searched_fields(self)
            for value in [getattr(self, f.name)]
            if not (f.metadata.get("added_later") and value == f.default)
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any], where: str = "architecture") -> Self:
        """The inverse of `to_json`.

        Raises ArchitectureError that names the field where one is unknown, missing or outside its
        options: an old record never silently becomes another network.
        """
        if not isinstance(values, Mapping):
            raise ArchitectureError(f"{where} is {type(values).__name__}; expected a mapping")
        known = {f.name for f in searched_fields(cls)}
        if unknown := sorted(set(values) - known):
            names = ", ".join(f.name for f in searched_fields(cls))
            raise ArchitectureError(f"{where}.{unknown[0]} is unknown; {cls.__name__} has {names}")
        later = {f.name for f in searched_fields(cls) if f.metadata.get("added_later")}
        if missing := sorted(known - later - set(values)):
            raise ArchitectureError(f"{where}.{missing[0]} is missing")
        loaded: dict[str, Any] = dict(values)
        for f in searched_fields(cls):
            if kind := f.metadata.get("kind"):
                parts = values[f.name]
                if not isinstance(parts, list | tuple):
                    found = type(parts).__name__
                    raise ArchitectureError(f"{where}.{f.name} is {found}; expected a list")
                loaded[f.name] = tuple(
                    kind.from_json(part, f"{where}.{f.name}.{i}") for i, part in enumerate(parts)
                )
        try:
            return cls(**loaded)
        except ArchitectureError as error:
            raise ArchitectureError(f"{where}: {error}") from None
