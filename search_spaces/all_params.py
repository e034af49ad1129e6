"""Every parameter that sampling a space can ask a trial for."""

from __future__ import annotations

from search_spaces.space import Option, Part, Restrictions, path_pattern, searched_fields


def all_params(
    kind: type[Part], restrict: Restrictions | None = None, prefix: str = ""
) -> dict[str, tuple[Option, ...]]:
    """The allowed options by path, `{"tokens.0.prune": (0.0, 0.25, ...), ...}`, in their order.

    One architecture has some of them only: `tokens.1.prune` needs two token stages, for instance.
    """
    allowed: dict[str, tuple[Option, ...]] = {}
    for f in searched_fields(kind):
        path = prefix + f.name
        if options := f.metadata.get("options"):
            allowed[path] = tuple((restrict or {}).get(path_pattern(path), options))
        else:
            for i in range(int(max(allowed[prefix + f.metadata["count"]]))):
                allowed |= all_params(f.metadata["kind"], restrict, f"{path}.{i}.")
    return allowed
