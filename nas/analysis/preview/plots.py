"""The panels as plotly figures."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import plotly.graph_objects as go

from nas.analysis.preview.labels import Label
from nas.analysis.preview.panels import (
    LIMIT,
    OVER,
    WITHIN,
    Bars,
    Cloud,
    Histogram,
    Mark,
    around,
    ticks,
)
from nas.pareto.objectives import objective

AXIS = {"gridcolor": "#e4e7eb", "linecolor": "#cbd2d9", "tickfont": {"size": 11}, "zeroline": False}
PLANE_HEIGHT = 340.0  # pixels of the axes
MANY, FEW = {"size": 5, "opacity": 0.45}, {"size": 9, "opacity": 0.9}
HALO = "0 0 2px white, 0 0 3px white, 0 0 4px white"
STRIP = 0.16  # of a histogram's height, below it, for the known networks
LANES = 3  # rows of that strip


def histogram_plot(histogram: Histogram, marks: Sequence[Mark]) -> go.Figure:
    """Bars within and over the budget, the limit, and the known networks below."""
    name, edges = histogram.name, histogram.edges
    centres = [math.sqrt(left * right) for left, right in pairwise(edges)]
    widths = [right - left for left, right in pairwise(edges)]
    spans = [
        f"{objective(name).short(left)} to {objective(name).short(right)}"
        for left, right in pairwise(edges)
    ]
    figure = go.Figure(
        [
            go.Bar(
                x=centres,
                y=counts,
                width=widths,
                name=label,
                marker={"color": colour, "line": {"width": 0}},
                hovertext=[f"{span}: {n} {label}" for span, n in zip(spans, counts, strict=True)],
                hoverinfo="text",
            )
            for counts, label, colour in (
                (histogram.within, "within the budget", WITHIN),
                (histogram.over, "over", OVER),
            )
        ]
    )
    top = histogram.top
    for label, symbol, named in _kinds(marks):
        figure.add_trace(_strip(name, named, top, label, symbol))
    known = [mark.reference.costs[name] for mark in marks]
    _layout(figure, objective(name).title)
    _log_axis(figure.update_xaxes, name, *around([*edges, *known], histogram.limit))
    figure.update_yaxes(
        title={"text": f"of {histogram.count:,} architectures", "font": {"size": 12}},
        range=[-STRIP * top * 1.5, 1.05 * top],
        tickvals=_counts(top),
        **{**AXIS, "linecolor": "white"},
    )
    figure.update_layout(barmode="stack", bargap=0)
    _limit_line(figure.add_vline, histogram.limit)
    return figure


def bars_plot(bars: Bars) -> go.Figure:
    """The share of each knob, its own part solid, most on top."""
    figure = go.Figure(
        [
            go.Bar(
                y=bars.knobs,
                x=shares,
                name=label,
                orientation="h",
                marker={"color": colour},
                hovertemplate=f"%{{y}}: %{{x:.1%}} by {label}<extra></extra>",
            )
            for label, colour, shares in bars.parts
        ]
    )
    _layout(figure, bars.title)
    figure.update_layout(barmode="stack", bargap=0.35, margin={"l": 130})
    figure.update_xaxes(tickformat=".0%", rangemode="tozero", **AXIS)
    figure.update_yaxes(autorange="reversed", **{**AXIS, "tickfont": {"size": 12}})
    return figure


def cloud_plot(cloud: Cloud, marks: Sequence[Mark], width: float) -> go.Figure:
    """Every architecture a point, limits as lines, and the known networks with their names.

    `width`: pixels of the axes, in a wide window.
    """
    figure = go.Figure()
    for within, label, colour in ((False, "over", OVER), (True, "within the budget", WITHIN)):
        chosen = [i for i, inside in enumerate(cloud.within) if inside is within]
        figure.add_trace(
            go.Scatter(
                x=[cloud.x[i] for i in chosen],
                y=[cloud.y[i] for i in chosen],
                mode="markers",
                name=label,
                marker={
                    "color": colour,
                    "size": 8 if not marks else 5,
                    "opacity": 0.45 if marks else 0.9,
                },
                hovertext=[_told(cloud, i) for i in chosen],
                hoverinfo="text",
            )
        )
    texts = dict(zip(marks, cloud.labels(marks, width, PLANE_HEIGHT), strict=True))
    for label, symbol, named in _kinds(marks):
        figure.add_trace(_named(cloud, {mark: texts[mark] for mark in named}, label, symbol))
    title = f"{objective(cloud.y_name).title} against {objective(cloud.x_name).title}"
    _layout(figure, title)
    x_span, y_span = cloud.spans(marks)
    for name, span, limit, update, line in (
        (cloud.x_name, x_span, cloud.x_limit, figure.update_xaxes, figure.add_vline),
        (cloud.y_name, y_span, cloud.y_limit, figure.update_yaxes, figure.add_hline),
    ):
        _log_axis(update, name, *span)
        update(title={"text": objective(name).title, "font": {"size": 12}})
        _limit_line(line, limit)
    return figure


def _kinds(marks: Sequence[Mark]) -> Iterator[tuple[str, str, list[Mark]]]:
    """A legend's word, a symbol and the networks, for each kind that there is."""
    for label, symbol, baseline in (("presets", "diamond", False), ("baselines", "circle", True)):
        if chosen := [mark for mark in marks if mark.baseline is baseline]:
            yield label, symbol, chosen


def _strip(name: str, marks: Sequence[Mark], top: float, label: str, symbol: str) -> go.Scatter:
    lane = STRIP * top * 1.2 / LANES
    return go.Scatter(
        x=[mark.reference.costs[name] for mark in marks],
        y=[-lane * (0.9 + mark.number % LANES) for mark in marks],
        mode="markers",
        name=label,
        marker=_marker(marks, symbol, 8),
        hovertext=[
            f"{mark.label}: {objective(name).short(mark.reference.costs[name])}" for mark in marks
        ],
        hoverinfo="text",
    )


def _named(cloud: Cloud, labels: Mapping[Mark, Label], label: str, symbol: str) -> go.Scatter:
    marks = list(labels)
    return go.Scatter(
        x=[mark.reference.costs[cloud.x_name] for mark in marks],
        y=[mark.reference.costs[cloud.y_name] for mark in marks],
        mode="markers+text",
        name=label,
        text=[placed.text for placed in labels.values()],
        textposition=[placed.spot for placed in labels.values()],
        textfont={"size": 11.5, "color": "#1f2933", "shadow": HALO},
        marker=_marker(marks, symbol, 10),
        hovertext=[mark.label for mark in marks],
        hoverinfo="text",
    )


def _marker(marks: Sequence[Mark], symbol: str, size: int) -> dict[str, Any]:
    """Hollow where the network is over the budget."""
    colour = marks[0].colour if marks else WITHIN
    fills = ["white" if mark.reference.excess else colour for mark in marks]
    return {"symbol": symbol, "size": size, "color": fills, "line": {"color": colour, "width": 1.5}}


def _told(cloud: Cloud, i: int) -> str:
    x, y = objective(cloud.x_name).short(cloud.x[i]), objective(cloud.y_name).short(cloud.y[i])
    names = objective(cloud.x_name).title, objective(cloud.y_name).title
    return f"<b>{cloud.keys[i]}</b><br>{names[0]}: {x}<br>{names[1]}: {y}"


def _layout(figure: go.Figure, title: str) -> None:
    figure.update_layout(
        template="none",
        margin={"l": 58, "r": 14, "t": 62, "b": 48},
        font={"family": "system-ui, sans-serif", "color": "#52606d", "size": 13},
        hoverlabel={"align": "left", "bgcolor": "white", "font": {"color": "#1f2933"}},
        legend={
            "orientation": "h",
            "x": 0,
            "y": 1.0,
            "yanchor": "bottom",
            "font": {"size": 11},
            "traceorder": "normal",
        },
        title={
            "text": title,
            "font": {"size": 14, "color": "#1f2933"},
            "x": 0,
            "xref": "paper",
            "y": 0.98,
            "yanchor": "top",
        },
    )


def _log_axis(update: Any, name: str, low: float, high: float) -> None:
    places = ticks(name, low, high)
    update(
        type="log",
        range=[math.log10(low), math.log10(high)],
        tickvals=list(places),
        ticktext=list(places.values()),
        ticks="outside",
        **AXIS,
    )


def _limit_line(draw: Any, limit: float | None) -> None:
    if limit is not None:
        draw(limit, line={"color": LIMIT, "width": 1.5, "dash": "dash"})


def _counts(top: int) -> list[int]:
    """A few round numbers up to `top`."""
    step = max(10 ** int(math.log10(top)), 1)
    step = step if top / step >= 3 else max(step // 2, 1)
    return list(range(0, top + 1, step))
