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

SHARED = ("elements.js", "theme.js", "scales.js", "marks.js", "plot.js")
"""What pages with planes share; they need data with `formats` and `costs`."""

SCRIPTS = (
    *("networks.js", *SHARED, "colours.js", "planes.js", "choices.js", "curve.js"),
    *("picture.js", "card.js", "tables.js", "live.js", "page.js"),
)


def front_page(
    record: SearchRecord,
    importances: Sequence[Importance] | None = None,
    in_folder: bool = False,
) -> str:
    """The networks of a search, to be browsed: fronts under budgets, knobs, and a card for each.

    `importances`: of the knobs; None while the search runs. `in_folder`: whether the page is
    written into the folder of the search, so that commands on it can name that.
    """
    data = embedded(page_data(record, importances, in_folder))
    return with_scripts(record.title, asset("page.html"), data, SCRIPTS)


def with_scripts(title: str, body: str, data: str, scripts: Sequence[str]) -> str:
    """A page of this `body`, HTML, with `embedded` data that these scripts draw from."""
    code = "\n".join(map(asset, scripts))
    parts = (
        body,
        f'<script type="application/json" id="data">{data}</script>',
        f'<script>\n"use strict";\n(() => {{\n{code}\n}})();\n</script>',
    )
    return html_page(title, parts, asset("page.css"))


@cache
def asset(name: str) -> str:
    """The text of a file beside this one."""
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
