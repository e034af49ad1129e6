"""The one HTML page: its style, and the parts that it is put together from. It works offline."""

from __future__ import annotations

import io
from collections.abc import Iterable
from html import escape

import matplotlib as mpl
from matplotlib.figure import Figure
from rich.table import Table

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 15px/1.5 -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  color: #1f2933; background: #fff; max-width: 1240px; margin: 0 auto; padding: 28px 24px 48px; }}
h1 {{ font-size: 26px; font-weight: 600; line-height: 1.2; margin: 0 0 6px; }}
h2 {{ font-size: 18px; font-weight: 600; margin: 40px 0 2px; }}
p {{ color: #52606d; margin: 4px 0 12px; max-width: 96ch; white-space: pre-line; }}
.facts {{ display: flex; flex-wrap: wrap; gap: 12px; margin: 18px 0 4px; }}
.facts div {{ background: #f5f7fa; border-radius: 8px; padding: 10px 18px; color: #52606d; }}
.facts b {{ display: block; font-size: 22px; font-weight: 600; color: #1f2933; }}
.panels {{ display: grid; gap: 18px 24px; margin: 14px 0; justify-content: start; }}
.panels svg {{ display: block; width: 100%; height: auto; }}
.panels text {{ font-family: inherit !important; }}
.scroll {{ overflow-x: auto; margin: 12px 0; }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 14px; }}
th, td {{ padding: 6px 16px 6px 0; text-align: right; white-space: pre; }}
th {{ font-weight: 600; color: #52606d; border-bottom: 1px solid #9aa5b1; }}
td {{ border-bottom: 1px solid #e8ecf0; }}
.left {{ text-align: left; }}
tr.strong td {{ font-weight: 600; background: #f5f7fa; }}
tbody tr:hover {{ background: #f5f7fa; }}
</style>
</head>
<body>
<h1>{title}</h1>
{body}
</body>
</html>
"""


def html_page(title: str, parts: Iterable[str]) -> str:
    """The whole page; `parts` are HTML."""
    return PAGE.format(title=escape(title), body="\n".join(parts))


def paragraphs(*texts: str) -> str:
    """Plain texts, a paragraph each."""
    return "".join(f"<p>{escape(text)}</p>" for text in texts)


def section(title: str, *parts: str) -> str:
    """A heading and what stands below it."""
    return "\n".join([f"<h2>{escape(title)}</h2>", *parts])


def fact_tiles(facts: Iterable[tuple[str, str]]) -> str:
    """Figures in large print, each with what it is."""
    tiles = (f"<div><b>{escape(figure)}</b>{escape(text)}</div>" for figure, text in facts)
    return f'<div class="facts">{"".join(tiles)}</div>'


def html_table(table: Table) -> str:
    """A table made for the terminal; its rows in bold stand out."""

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
    return f'<div class="scroll">{whole}</div>'


def svg_panels(figures: Iterable[Figure], width: int) -> str:
    """Figures side by side, each `width` pixels wide at most, as many in a row as there is room."""
    columns = f"repeat(auto-fit, minmax(min(100%, {width * 3 // 4}px), {width}px))"
    images = "".join(f"<div>{_svg(figure)}</div>" for figure in figures)
    return f'<div class="panels" style="grid-template-columns: {columns}">{images}</div>'


def _svg(figure: Figure) -> str:
    """The figure as an SVG element whose text is text."""
    file = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "segnas"}):
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    return file.getvalue()[file.getvalue().index("<svg") :]
