"""The figure and its numbers as one self-contained interactive HTML page: works offline."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from nas.analysis.redundancy.panels import METRICS, Line, Metric, Panel, heights
from nas.analysis.redundancy.table import HEAD, Row, score

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
  body {{ font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; color: #1f2933;
         background: #fff; max-width: 1320px; margin: 0 auto; padding: 24px; }}
  h1 {{ font-size: 24px; font-weight: 600; margin: 0; }}
  p {{ color: #52606d; margin: 4px 0 12px; max-width: 100ch; }}
  .table {{ overflow-x: auto; margin-top: 16px; }}
  table {{ border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }}
  th, td {{ padding: 6px 14px; text-align: right; white-space: nowrap; }}
  th {{ font-weight: 600; color: #52606d; border-bottom: 2px solid #cbd2d9; }}
  td {{ border-bottom: 1px solid #e4e7eb; }}
  th:nth-child(-n+2), td:nth-child(-n+2) {{ text-align: left; }}
  td:last-child {{ white-space: pre; }}
  td:nth-child(2) {{ font: 13px ui-monospace, Menlo, Consolas, monospace; }}
  .level0 {{ font-weight: 600; background: #f5f7fa; }}
  .level1 td:first-child {{ padding-left: 32px; }}
  .level2 td:first-child {{ padding-left: 50px; }}
  tbody tr:hover {{ background: #f5f7fa; }}
</style>
</head>
<body>
<h1>{title}</h1>
{paragraphs}
{plot}
<div class="table">{table}</div>
</body>
</html>
"""


def redundancy_page(
    panels: Sequence[Panel],
    title: str,
    paragraphs: Sequence[str],
    rows: Iterable[Row],
) -> str:
    """The page: what was measured in words, the figure, and a table of every sub-layer."""
    plot = _figure(panels).to_html(
        full_html=False,
        include_plotlyjs=True,
        div_id="redundancy",
        config={"responsive": True, "displaylogo": False, "displayModeBar": False},
    )
    return PAGE.format(
        title=escape(title),
        paragraphs="\n".join(f"<p>{escape(text)}</p>" for text in paragraphs),
        plot=plot,
        table=_table(rows),
    )


def _figure(panels: Sequence[Panel]) -> go.Figure:
    titles = [
        f"({'abc'[column]}<sub>{row}</sub>) {panel.title}"
        for row in (1, 2)
        for column, panel in enumerate(panels)
    ]
    figure = make_subplots(
        rows=2,
        cols=len(panels),
        subplot_titles=titles,
        horizontal_spacing=0.06,
        vertical_spacing=0.14,
        column_widths=[1, 1.6, 1.6],
    )
    for row, (metric, name) in enumerate(METRICS.items(), start=1):
        for column, panel in enumerate(panels, start=1):
            for line in panel.lines:
                for trace in _traces(panel, line, metric, legend=row == 1):
                    figure.add_trace(trace, row=row, col=column)
            _axes(figure, panels, metric, name, row, column)
    figure.update_layout(
        template="none",
        height=680,
        margin={"l": 60, "r": 16, "t": 72, "b": 40},
        font={"family": "system-ui, sans-serif", "color": "#52606d", "size": 13},
        hoverlabel={"align": "left", "bgcolor": "white", "font": {"color": "#1f2933"}},
        legend={"orientation": "h", "x": 0, "y": 1.07, "yanchor": "bottom"},
    )
    for title in figure.layout.annotations:
        title.update(font={"size": 14, "color": "#1f2933"})
    return figure


def _traces(panel: Panel, line: Line, metric: Metric, legend: bool) -> list[go.Scatter]:
    values = line.values(metric)
    places = list(range(len(values)))
    symbol = f"S<sub>{line.symbol}</sub>" if line.symbol else ""
    label = f"{symbol} {line.name}".strip()
    hover = [
        f"{f'B{block} {tick}' if panel.layered else tick} {label}: {score(value)}"
        for tick, block, value in zip(panel.ticks, panel.blocks, values, strict=True)
    ]
    curve = go.Scatter(
        x=places,
        y=values,
        mode="lines+markers",
        name=label,
        legendgroup=label,
        showlegend=legend,
        line={"color": line.colour, "width": 2},
        marker={"size": 8, "line": {"color": "white", "width": 1}},
        hovertext=hover,
        hoverinfo="text",
    )
    marked = sorted(line.marked)
    if not marked:
        return [curve]
    rings = go.Scatter(
        x=marked,
        y=[values[i] for i in marked],
        mode="markers",
        name=f"{line.name}, proposed to go",
        legendgroup=f"{label} rings",
        showlegend=legend,
        marker={
            "symbol": "circle-open",
            "size": 16,
            "color": line.colour,
            "line": {"width": 2},
        },
        hoverinfo="skip",
    )
    return [curve, rings]


def _axes(
    figure: go.Figure, panels: Sequence[Panel], metric: Metric, name: str, row: int, column: int
) -> None:
    panel = panels[column - 1]
    labels = panel.labels("<br>")
    figure.update_xaxes(
        tickvals=list(range(len(labels))),
        ticktext=labels,
        range=[-0.5, len(labels) - 0.5],
        linecolor="#cbd2d9",
        showgrid=False,
        zeroline=False,
        ticks="",
        row=row,
        col=column,
    )
    figure.update_yaxes(
        title=name if column < 3 else None,
        range=list(heights(panels[:1] if column == 1 else panels[1:], metric)),
        gridcolor="#e4e7eb",
        showline=False,
        zeroline=False,
        ticks="",
        row=row,
        col=column,
    )
    for first, last in panel.spans()[1::2]:
        band = {"fillcolor": "#f5f7fa", "line_width": 0, "layer": "below"}
        figure.add_vrect(x0=first - 0.5, x1=last + 0.5, row=row, col=column, **band)


def _table(rows: Iterable[Row]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in ("part", "module", *HEAD))
    body = "".join(_row(row) for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _row(row: Row) -> str:
    cells = "".join(f"<td>{escape(text)}</td>" for text in (row.label, row.module, *row.cells))
    return f'<tr class="level{row.level}">{cells}</tr>'
