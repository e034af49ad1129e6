"""The page: one HTML file with its data, its style and its scripts."""

from __future__ import annotations

from functools import cache
from html import escape
from importlib.resources import files

from plotly.offline import get_plotlyjs

from nas.report.findings import Findings
from nas.report.front_page.data import embedded, page_data

SCRIPTS = ("numbers.js", "charts.js", "picture.js", "card.js", "tables.js", "page.js")


def front_page(found: Findings) -> str:
    """The networks of a search, to be browsed: fronts under budgets, knobs, and a card for each."""
    data = page_data(found)
    parts = {
        "title": escape(found.title),
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
