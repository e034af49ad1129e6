"""The front as one self-contained interactive HTML page: works offline and in MLflow's viewer."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from nas.cost.latency import Conditions
from nas.front import front
from nas.result import Result

COSTS = {
    "params": "Parameters",
    "macs": "MACs",
    "memory": "Training memory (bytes)",
    "latency_ms": "Latency (ms)",
}
NAMES = {
    "dice": "Dice",
    "params": "parameters",
    "macs": "MACs",
    "memory": "training memory",
    "latency_ms": "latency",
}
FRONT, MUTED = "#0072b2", "#b8bec6"  # blue of Okabe and Ito's colour-blind safe palette, grey
HOVER_WIDTH = 64
UNKNOWN = "—"

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
  p {{ color: #52606d; margin: 4px 0 20px; }}
  html {{ scrollbar-gutter: stable; }}
  .plots {{ display: grid; gap: 12px; grid-template-columns: repeat({columns}, minmax(0, 1fr)); }}
  .plot {{ height: 380px; }}
  @media (max-width: 840px) {{ .plots {{ grid-template-columns: minmax(0, 1fr); }} }}
  .table {{ overflow-x: auto; margin-top: 16px; }}
  table {{ border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }}
  th, td {{ padding: 7px 14px; text-align: right; white-space: nowrap; }}
  th {{ font-weight: 600; color: #52606d; border-bottom: 2px solid #cbd2d9; }}
  td {{ border-bottom: 1px solid #e4e7eb; }}
  th:first-child, td:first-child {{ text-align: left; }}
  td:first-child {{ font-family: ui-monospace, Menlo, Consolas, monospace; font-size: 13px; }}
  tbody tr:hover {{ background: #f5f7fa; }}
</style>
<script>{plotlyjs}</script>
</head>
<body>
<h1>{title}</h1>
<p>{caption}</p>
<div class="plots">{plots}</div>
<div class="table">{table}</div>
</body>
</html>
"""


def front_page(
    results: Sequence[Result], objectives: Sequence[str], title: str, classes: Sequence[str]
) -> str:
    """Dice against each cost among the objectives, and a table of the front's members.

    `classes` names the columns of Dice per class, in order.
    """
    members = front(results, objectives)
    costs = [cost for cost in COSTS if cost in objectives] or ["params"]
    return PAGE.format(
        title=escape(title),
        caption=escape(_caption(results, members, objectives)),
        columns=len(costs),
        plotlyjs=get_plotlyjs(),
        plots="".join(_plot(results, members, cost, classes) for cost in costs),
        table=_table(members, classes),
    )


def human(value: float | None, unit: str = "") -> str:
    """Three significant digits for people: 12.3 k, 4.1 M, 8.7 ms; a dash for the unknown."""
    if value is None:
        return UNKNOWN
    for size, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= 0.9995 * size:  # 999,999 is 1 M, not 1e+03 k
            value, unit = value / size, prefix + unit
            break
    return f"{value:.3g} {unit}".rstrip()


def compact(value: Any) -> str:
    """An architecture on one line: `width 16, tokens (prune 0.5, gates both/none)`."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_nested(part)}" for name, part in value.items())
    if isinstance(value, (list, tuple)):
        nested = any(isinstance(part, (Mapping, list, tuple)) for part in value)
        return (" " if nested else "/").join(_nested(part) for part in value) or "none"
    return str(value)


def _nested(value: Any) -> str:
    return f"({compact(value)})" if isinstance(value, Mapping) else compact(value)


def _caption(
    results: Sequence[Result], members: Sequence[Result], objectives: Sequence[str]
) -> str:
    trained = sum(result.state == "complete" for result in results)
    names = [NAMES[objective] for objective in objectives]
    conditions = next((m.latency["conditions"] for m in members if m.latency), None)
    sentences = [
        f"{len(members)} of {trained} trained networks are the front: none is better in one of "
        f"{', '.join(names)} and as good in the others.",
        f"{len(results) - trained} candidates ended early; they have no Dice and are not drawn.",
    ]
    if conditions:
        told = Conditions.from_json(conditions).text()
        sentences.append(f"Latency is the median of one pass: {told}.")
    return " ".join(sentences)


def _plot(
    results: Sequence[Result], members: Sequence[Result], cost: str, classes: Sequence[str]
) -> str:
    keys = {member.key for member in members}
    drawn = [r for r in results if r.state == "complete" and getattr(r, cost) is not None]
    others = [result for result in drawn if result.key not in keys]
    figure = go.Figure(
        [
            _points(others, cost, classes, "other networks", {"color": MUTED, "size": 8}),
            _staircase(members, cost),
            _points(
                [result for result in drawn if result.key in keys],
                cost,
                classes,
                "front",
                {"color": FRONT, "size": 11, "line": {"color": "white", "width": 1.5}},
            ),
        ]
    )
    axis = {
        "gridcolor": "#e4e7eb",
        "linecolor": "#cbd2d9",
        "ticks": "outside",
        "tickfont": {"size": 11},
        "zeroline": False,
    }
    figure.update_layout(
        template="none",
        margin={"l": 60, "r": 16, "t": 36, "b": 52},
        font={"family": "system-ui, sans-serif", "color": "#52606d", "size": 13},
        hoverlabel={"align": "left", "bgcolor": "white", "font": {"color": "#1f2933"}},
        legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        xaxis={"title": COSTS[cost], "type": "log", "nticks": 4, "tickformat": "~s", **axis},
        yaxis={"title": "Dice", **axis},
    )
    html: str = figure.to_html(
        full_html=False,
        include_plotlyjs=False,
        div_id=f"dice-{cost}",
        config={"responsive": True, "displaylogo": False, "displayModeBar": False},
    )
    return f'<div class="plot">{html}</div>'


def _points(
    results: Sequence[Result],
    cost: str,
    classes: Sequence[str],
    name: str,
    marker: Mapping[str, Any],
) -> go.Scatter:
    return go.Scatter(
        x=[getattr(result, cost) for result in results],
        y=[result.dice for result in results],
        mode="markers",
        name=name,
        marker=marker,
        hovertext=[_hover(result, classes) for result in results],
        hoverinfo="text",
    )


def _staircase(members: Iterable[Result], cost: str) -> go.Scatter:
    """The best Dice that a member reaches within each cost."""
    steps: list[tuple[float, float]] = []
    pairs = [(getattr(member, cost), -(member.dice or 0.0)) for member in members]
    for value, worse in sorted(pair for pair in pairs if pair[0] is not None):
        if not steps or -worse > steps[-1][1]:
            steps.append((value, -worse))
    x, y = zip(*steps, strict=True) if steps else ((), ())
    line = {"color": FRONT, "width": 2, "shape": "hv"}
    return go.Scatter(x=x, y=y, mode="lines", line=line, hoverinfo="skip", showlegend=False)


def _hover(result: Result, classes: Sequence[str]) -> str:
    per_class = ", ".join(f"{name} {_dice(result.dice_per_class.get(name))}" for name in classes)
    costs = (
        f"{human(result.params)} parameters, {human(result.macs)} MACs, "
        f"{human(result.memory, 'B')} to train, {human(result.latency_ms, 'ms')}"
    )
    architecture = textwrap.wrap(compact(result.architecture), HOVER_WIDTH)
    lines = [f"Dice {_dice(result.dice)} ({per_class})", costs, *architecture]
    return "<br>".join([f"<b>{escape(result.key)}</b>", *map(escape, lines)])


def _table(members: Sequence[Result], classes: Sequence[str]) -> str:
    head = ["Key", "Dice", *(f"Dice {name}" for name in classes)]
    head += ["Parameters", "MACs", "Training memory", "Latency"]
    rows = [
        [
            member.key,
            _dice(member.dice),
            *(_dice(member.dice_per_class.get(name)) for name in classes),
            human(member.params),
            human(member.macs),
            human(member.memory, "B"),
            human(member.latency_ms, "ms"),
        ]
        for member in members
    ]
    body = "".join(_row("td", row) for row in rows)
    return f"<table><thead>{_row('th', head)}</thead><tbody>{body}</tbody></table>"


def _row(cell: str, values: Iterable[str]) -> str:
    return "<tr>" + "".join(f"<{cell}>{escape(v)}</{cell}>" for v in values) + "</tr>"


def _dice(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.4f}"
