"""The page: one HTML file with its data, its style and its scripts."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from nas.report.front_page.data import embedded, page_data
from nas.report.html_page import html_page
from nas.report.search_record import SearchRecord

if TYPE_CHECKING:
    from nas.study.knob_importance import Importance

SCRIPTS = ("numbers.js", "charts.js", "picture.js", "card.js", "tables.js", "page.js")


def front_page(record: SearchRecord, importances: Sequence[Importance] | None = None) -> str:
    """The networks of a search, to be browsed: fronts under budgets, knobs, and a card for each.

    `importances`: of the knobs; None while the search runs.
    """
    from plotly.offline import get_plotlyjs

    data = embedded(page_data(record, importances))
    scripts = "\n".join(map(_asset, SCRIPTS))
    parts = (
        _asset("page.html"),
        f"<script>{get_plotlyjs()}</script>",
        f'<script type="application/json" id="data">{data}</script>',
        f'<script>\n"use strict";\n(() => {{\n{scripts}\n}})();\n</script>',
    )
    return html_page(record.title, parts, _asset("page.css"))


@cache
def _asset(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
