"""The preview as one self-contained interactive HTML page: works offline."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from nas.analysis.preview.make_preview import Preview
from nas.analysis.preview.panels import bars, histograms, latency_plane, marks, plane
from nas.analysis.preview.plots import bars_plot, cloud_plot, histogram_plot
from nas.analysis.preview.sentences import (
    drawn,
    driving,
    lasting,
    limit_text,
    measured,
    passing,
    percent,
    time_text,
    trials_text,
)
from nas.pareto.objectives import objective

PAGE_WIDTH = 1180  # pixels that plots have, in a wide window
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
  h2 {{ font-size: 17px; font-weight: 600; margin: 28px 0 0; }}
  p {{ color: #52606d; margin: 4px 0 10px; max-width: 110ch; white-space: pre-line; }}
  html {{ scrollbar-gutter: stable; }}
  .facts {{ display: flex; flex-wrap: wrap; gap: 12px; margin: 16px 0 4px; }}
  .fact {{ background: #f5f7fa; border-radius: 8px; padding: 10px 18px; }}
  .fact b {{ display: block; font-size: 22px; font-weight: 600; }}
  .fact span {{ color: #52606d; }}
  .plots {{ display: grid; gap: 12px; grid-template-columns: repeat(3, minmax(0, 1fr)); }}
  .plot {{ height: 330px; min-width: 0; }}
  .wide {{ display: grid; gap: 12px; grid-template-columns: repeat({wide}, minmax(0, 1fr)); }}
  .wide .plot {{ height: 460px; }}
  @media (max-width: 900px) {{ .plots, .wide {{ grid-template-columns: minmax(0, 1fr); }} }}
  .table {{ overflow-x: auto; }}
  table {{ border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }}
  th, td {{ padding: 6px 14px; text-align: right; white-space: nowrap; }}
  th {{ font-weight: 600; color: #52606d; border-bottom: 2px solid #cbd2d9; }}
  td {{ border-bottom: 1px solid #e4e7eb; }}
  th:nth-child(2), td:nth-child(2) {{ text-align: left; }}
  tbody tr:hover {{ background: #f5f7fa; }}
  .over {{ color: #b34700; }}
  .fine {{ color: #00785a; }}
</style>
<script>{plotlyjs}</script>
</head>
<body>
<h1>{title}</h1>
<p>{drawn}</p>
<div class="facts">{facts}</div>
<h2>What they cost</h2>
<p>{passing}</p>
<div class="plots">{histograms}</div>
<h2>Which knob drives a cost</h2>
<p>{driving}</p>
<div class="plots">{bars}</div>
<h2>Where known networks lie</h2>
{measured}
<div class="wide">{planes}</div>
<div class="table">{table}</div>
{hours}
</body>
</html>
"""


def preview_page(preview: Preview, title: str) -> str:
    """Distributions, drivers, known networks, and the hours of the search."""
    known = marks(preview)
    planes = [(plane(preview), known)]
    if latencies := latency_plane(preview):
        planes.append((latencies, []))
    width = PAGE_WIDTH / len(planes)
    clouds = [cloud_plot(cloud, its_marks, width) for cloud, its_marks in planes]
    sentences = _paragraphs(lasting(preview))
    return PAGE.format(
        title=escape(title),
        drawn=escape(drawn(preview)),
        facts="".join(_fact(*fact) for fact in _facts(preview)),
        passing=escape(passing(preview)),
        driving=escape(driving(preview)),
        plotlyjs=get_plotlyjs(),
        wide=len(clouds),
        histograms=_plots(histogram_plot(one, known) for one in histograms(preview)),
        bars=_plots(map(bars_plot, bars(preview))),
        planes=_plots(clouds),
        measured=_paragraphs(measured(preview)),
        table=_table(preview),
        hours=f"<h2>How long the search takes</h2>{sentences}" if sentences else "",
    )


def _facts(preview: Preview) -> Iterable[tuple[str, str]]:
    """What is large on the page: a figure and what it is."""
    yield f"{len(preview.survey.draw.points):,}", "architectures"
    if preview.config.budget.limits():
        yield percent(preview.allowed.share), "within the budget"
    for limit in preview.allowed.limits:
        yield percent(limit.share), f"within {limit_text(limit)}"
    if foretold := preview.forecast:
        span = f"{time_text(foretold.low)} to {time_text(foretold.high)}"
        yield time_text(foretold.hours), f"for {trials_text(foretold)} ({span})"


def _paragraphs(texts: Iterable[str]) -> str:
    return "".join(f"<p>{escape(text)}</p>" for text in texts)


def _fact(figure: str, text: str) -> str:
    return f'<div class="fact"><b>{escape(figure)}</b><span>{escape(text)}</span></div>'


def _plots(figures: Iterable[go.Figure]) -> str:
    config = {"responsive": True, "displaylogo": False, "displayModeBar": False}
    return "".join(
        '<div class="plot">'
        + figure.to_html(full_html=False, include_plotlyjs=False, config=config)
        + "</div>"
        for figure in figures
    )


def _table(preview: Preview) -> str:
    head = ["", "Network", "Parameters", "MACs", "Memory", "In the space", "Budget"]
    body = []
    for mark in marks(preview):
        known = mark.reference
        over = ", ".join(_over(name, factor) for name, factor in known.excess.items())
        verdict = f'<td class="{"over" if over else "fine"}">{escape(over) or "within"}</td>'
        cells = [
            str(mark.number),
            known.name,
            *(objective(name).short(known.costs[name]) for name in ("params", "macs", "memory")),
            "yes" if known.reachable else "no",
        ]
        body.append(f"<tr>{_cells('td', cells)}{verdict}</tr>")
    rows = "".join(body)
    return f"<table><thead><tr>{_cells('th', head)}</tr></thead><tbody>{rows}</tbody></table>"


def _over(name: str, factor: float) -> str:
    return f"{factor:.3g}x {objective(name).phrase}"


def _cells(cell: str, values: Sequence[str]) -> str:
    return "".join(f"<{cell}>{escape(value)}</{cell}>" for value in values)
