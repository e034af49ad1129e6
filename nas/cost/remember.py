"""Results that are kept, because the same is asked again and again."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import ParamSpec, TypeVar

KEPT = 2**14  # results of each function

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def remember(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """`function`, which works out each result once; lists of its arguments become tuples."""
    known = lru_cache(KEPT)(function)

    @wraps(function)
    def ask(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        return known(*[tuple(a) if isinstance(a, list) else a for a in args], **kwargs)  # type: ignore[arg-type]

    return ask
