"""Tables of one look, for the terminal and for pages."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import JustifyMethod, OverflowMethod
from rich.table import Table


def plain_table(
    left: Iterable[str],
    right: Iterable[str] = (),
    last: Iterable[str] = (),
    *,
    whole: Collection[str] = (),
    **options: Any,
) -> Table:
    """A table of these columns, without rows yet: text at the left, numbers at the right, and text.

    `whole`: columns of one line a row. `options`: rich's own, such as a title.
    """
    table = Table(
        box=SIMPLE_HEAD,
        pad_edge=False,
        title_justify="left",
        title_style="bold",
        caption_justify="left",
        **options,
    )
    sides: tuple[tuple[Iterable[str], JustifyMethod], ...]
    sides = (left, "left"), (right, "right"), (last, "left")
    for names, justify in sides:
        for name in names:
            one = name in whole
            overflow: OverflowMethod = "ellipsis" if one else "fold"
            table.add_column(name, justify=justify, no_wrap=one, overflow=overflow)
    return table
