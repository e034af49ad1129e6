"""The one HTML page: its style, and the parts that it is put together from. It works offline."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.table import Table

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
{style}
</style>
</head>
<body>
<h1>{title}</h1>
{body}
</body>
</html>
"""


def html_page(title: str, parts: Iterable[str], style: str = "") -> str:
    """The whole page; `parts` are HTML, `style` is CSS beside that of all pages."""
    common = files(__package__).joinpath("page.css").read_text(encoding="utf-8")
    return PAGE.format(title=escape(title), style=common + style, body="\n".join(parts))


def paragraphs(*texts: str) -> str:
    """Plain texts, a paragraph each."""
    return "".join(f'<p class="lines">{escape(text)}</p>' for text in texts)


def section(title: str, *parts: str) -> str:
    """A heading and what stands below it."""
    return "\n".join([f"<h2>{escape(title)}</h2>", *parts])


def fact_tiles(facts: Iterable[tuple[str, str]]) -> str:
    """Figures in large print, each with what it is."""
    tiles = (f"<div><b>{escape(figure)}</b>{escape(text)}</div>" for figure, text in facts)
    return f'<div class="facts">{"".join(tiles)}</div>'


def html_table(table: Table) -> str:
    """A table made for the terminal, with what is said below it; its rows in bold stand out. Its
    title is for the heading of the section."""

    def cells(kind: str, texts: Iterable[object]) -> str:
        pairs = zip(table.columns, texts, strict=True)
        return "".join(
            f'<{kind} class="{column.justify}">{escape(str(text))}</{kind}>'
            for column, text in pairs
        )

    head = cells("th", (column.header for column in table.columns))
    texts = zip(*(column.cells for column in table.columns), strict=True)
    body = "".join(
        f"<tr{' class=strong' if row.style == 'bold' else ''}>{cells('td', of_row)}</tr>"
        for row, of_row in zip(table.rows, texts, strict=True)
    )
    whole = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    below = paragraphs(str(table.caption)) if table.caption else ""
    return f'<div class="scroll">{whole}</div>{below}'


def svg_panels(figures: Iterable[Figure], width: int) -> str:
    """Figures side by side, each `width` pixels wide at most, as many in a row as there is room."""
    columns = f"repeat(auto-fit, minmax(min(100%, {width * 3 // 4}px), {width}px))"
    images = "".join(f"<div>{_svg(figure)}</div>" for figure in figures)
    return f'<div class="panels" style="grid-template-columns: {columns}">{images}</div>'


def png(figure: Figure, background: str = "white") -> bytes:
    """The figure as a file of its own."""
    file = io.BytesIO()
    figure.savefig(file, format="png", facecolor=background)
    return file.getvalue()


def embedded(image: bytes, told: str) -> str:
    """A PNG inside of the page; `told`: what it shows, for who cannot see it."""
    data = base64.b64encode(image).decode()
    shown = f'<img class="picture" src="data:image/png;base64,{data}" alt="{escape(told)}">'
    return f'<div class="scroll">{shown}</div>'


def _svg(figure: Figure) -> str:
    """The figure as an SVG element whose text is text."""
    import matplotlib as mpl

    file = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "segnas"}):
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    return file.getvalue()[file.getvalue().index("<svg") :]
