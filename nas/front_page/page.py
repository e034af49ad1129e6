"""The page: one HTML file with its data, its style and its scripts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING

from plotly.offline import get_plotlyjs

from nas.front_page.data import embedded, page_data
from nas.result import Result
from search_spaces.space import SearchSpace

if TYPE_CHECKING:
    from nas.importance import Importance

SCRIPTS = ("numbers.js", "charts.js", "picture.js", "card.js", "tables.js", "page.js")


def front_page(
    results: Sequence[Result],
    objectives: Sequence[str],
    title: str,
    classes: Sequence[str],
    space: SearchSpace | None = None,
    starts: Mapping[str, str] | None = None,
    matters: Sequence[Importance] | None = None,
) -> str:
    """The networks of a search, to be browsed: fronts under budgets, knobs, and a card for each.

    `classes` names those of Dice per class, in order. `space` tells knobs and pictures, `starts`
    the names of warm starts by key. `matters`: see `nas.importance`; None while a search runs.
    """
    data = page_data(results, objectives, title, classes, space, starts, matters)
    parts = {
        "title": escape(title),
        "style": _asset("page.css"),
        "plotly": get_plotlyjs(),
        "data": embedded(data),
        "scripts": "\n".join(map(_asset, SCRIPTS)),
    }
    head, *rest = _asset("page.html").split("{{")
    pieces = [head]
    for piece in rest:
        name, text = piece.split("}}", 1)
        pieces += [parts[name], text]
    return "".join(pieces)


@cache
def _asset(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
