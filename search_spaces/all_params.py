"""Every parameter that sampling a space can ask a trial for."""

from __future__ import annotations

from collections.abc import Iterator

from search_spaces.space import Option, Part, Restrictions, path_pattern, searched_fields


def all_params(
    kind: type[Part], restrict: Restrictions | None = None
) -> dict[str, tuple[Option, ...]]:
    """The allowed options by path, `{"tokens.0.prune": (0.0, 0.25, ...), ...}`, in their order.

    One architecture has some of them only: `tokens.1.prune` needs two token stages, for instance.
    """
    return {path: options for path, options, _ in _params(kind, restrict or {}, "")}


def params_as_added(kind: type[Part], restrict: Restrictions | None = None) -> list[list[str]]:
    """The paths of `all_params`, those of knobs that came later in lists of their own (see
    `choice`), in the order in which they came."""
    found: dict[int, list[str]] = {1: []}
    for path, _, added in _params(kind, restrict or {}, ""):
        found.setdefault(max(added, 1), []).append(path)
    return [found[added] for added in sorted(found)]


def _params(
    kind: type[Part], restrict: Restrictions, prefix: str
) -> Iterator[tuple[str, tuple[Option, ...], int]]:
    """Path, options, `added_later`."""
    allowed: dict[str, tuple[Option, ...]] = {}
    for f in searched_fields(kind):
        path = prefix + f.name
        if options := f.metadata.get("options"):
            allowed[f.name] = tuple(restrict.get(path_pattern(path), options))
            yield path, allowed[f.name], int(f.metadata["added_later"])
        else:
            for i in range(int(max(allowed[f.metadata["count"]]))):
                yield from _params(f.metadata["kind"], restrict, f"{path}.{i}.")
