"""A mechanism on cases, as one figure: slices of the images, and over them what was decided."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize, to_rgb
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from nas.analysis.explain.case_view import CaseView, Plane
from nas.analysis.explain.probe import Item
from nas.report.axes_style import INK, MUTED
from nas.report.contact_sheet import evenly

TILE, DPI = 2.1, 150  # inches of a slice, and pixels of an inch
COLUMNS = 6  # of one item each, at most, evenly chosen
OPACITY = 0.55  # of a decision over the image
HEAT = "inferno"
RANGE = (1, 99)  # percentiles of a map between which its colours are spread
NEAR = 0.12  # of a plane's length: a point so far from the slice is nearly transparent
TRUTH, PREDICTED = "#ffffff", "#2ee6d6"
COLOURS = (
    "#ffd43b", "#1f78b4", "#e8590c", "#2f9e44", "#ae3ec9", "#66d9e8", "#f06595", "#8d6e63",
)  # fmt: skip


@dataclass(frozen=True)
class _Look:
    """How all tiles of a figure are coloured: by `norm` of the single value `name`, else by
    `colours` of each."""

    colours: Mapping[str, np.ndarray]
    norm: Normalize | None
    name: str = ""


def mechanism_figure(mechanism: str, views: Sequence[CaseView]) -> Figure:
    """A row for each case: the image with its label and the segmentation, then what was decided.

    Of one item all planes are shown that every case has, of several the first of each.
    """
    views = _alike(views)
    items = evenly(items_of(mechanism, views), COLUMNS)
    first = views[0].planes
    columns = [(items[0], plane) for plane in range(len(first))]
    if len(items) > 1:
        columns = [(item, 0) for item in items]
    look = _look(items, views)
    layout = ConstrainedLayoutEngine(w_pad=0.02, h_pad=0.02, wspace=0.01, hspace=0.01)
    ratios = [_width(views, 0), *(_width(views, plane) for _, plane in columns)]
    size = TILE * sum(ratios) + 0.5, TILE * len(views) + 0.75
    figure = Figure(figsize=size, dpi=DPI, layout=layout)
    axes = figure.subplots(len(views), len(ratios), squeeze=False, width_ratios=ratios)
    for row, view in zip(axes, views, strict=True):
        _draw_slice(row[0], view.planes[0])
        row[0].set_ylabel(view.name, color=INK, fontsize=8, parse_math=False)
        for ax, (item, plane) in zip(row[1:], columns, strict=True):
            _draw_item(ax, view.planes[plane], item, look)
    axes[0][0].set_title(f"image, {first[0].name}", fontsize=8, color=MUTED)
    for ax, (item, plane) in zip(axes[0][1:], columns, strict=True):
        title = item.label if len(items) > 1 else first[plane].name
        ax.set_title(title, fontsize=8, color=MUTED)
    _explain_colours(figure, look, axes)
    return figure


def _alike(views: Sequence[CaseView]) -> Sequence[CaseView]:
    """With the planes that all have: a case of a single slice has one. Where they have none in
    common, those that have the first one's."""
    names = [{plane.name for plane in view.planes} for view in views]
    shared = set.intersection(*names) or names[0]
    kept = (view for view, own in zip(views, names, strict=True) if own >= shared)
    return [
        replace(view, planes=tuple(p for p in view.planes if p.name in shared)) for view in kept
    ]


def items_of(mechanism: str, views: Sequence[CaseView]) -> list[Item]:
    """All that there is to draw of the mechanism, of which a figure has `COLUMNS`."""
    found: dict[Item, None] = {}
    for view in views:
        for plane in view.planes:
            found.update(dict.fromkeys([*plane.maps, *plane.points]))
    return [item for item in found if item.mechanism == mechanism]


def _look(items: Sequence[Item], views: Sequence[CaseView]) -> _Look:
    maps = [p.maps[i] for v in views for p in v.planes for i in items if i in p.maps]
    names = list(dict.fromkeys(name for one in maps for name in one))
    if len(names) == 1:
        values = np.concatenate([one[names[0]].ravel() for one in maps])
        low, high = np.nanpercentile(values, RANGE)
        return _Look({}, Normalize(low, high if high > low else low + 1e-6), names[0])
    colours = (to_rgb(COLOURS[i % len(COLOURS)]) for i in range(len(names)))
    return _Look({n: np.array(c) for n, c in zip(names, colours, strict=True)}, None)


def _draw_slice(ax: Axes, plane: Plane) -> None:
    _show(ax, plane, np.repeat(plane.grey[..., None], 3, axis=-1))
    _outline(ax, plane.predicted, PREDICTED)


def _draw_item(ax: Axes, plane: Plane, item: Item, look: _Look) -> None:
    grey = np.repeat(plane.grey[..., None], 3, axis=-1)
    if item in plane.maps:
        colour = _coloured(plane.maps[item], look)
        known = ~np.isnan(colour)
        grey = np.where(known, (1 - OPACITY) * grey + OPACITY * np.nan_to_num(colour), grey)
    _show(ax, plane, grey)
    if item in plane.points:
        _scatter(ax, plane, plane.points[item])


def _coloured(maps: Mapping[str, np.ndarray], look: _Look) -> np.ndarray:
    """(rows, columns, 3)."""
    if look.norm is not None:
        (values,) = maps.values()
        return np.asarray(ScalarMappable(look.norm, HEAT).to_rgba(values)[..., :3])
    return np.asarray(sum(values[..., None] * look.colours[n] for n, values in maps.items()))


def _show(ax: Axes, plane: Plane, rgb: np.ndarray) -> None:
    height, width = plane.pixel
    ax.imshow(rgb.clip(0, 1), interpolation="nearest", aspect=height / width)
    if plane.truth is not None:
        _outline(ax, plane.truth, TRUTH)
    ax.set_xticks([])
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set_visible(False)


def _outline(ax: Axes, labels: np.ndarray, colour: str) -> None:
    inside = labels > 0
    if inside.any() and not inside.all():
        ax.contour(inside, levels=[0.5], colors=[colour], linewidths=0.8)


def _scatter(ax: Axes, plane: Plane, points: np.ndarray) -> None:
    """The nearer to the slice the more opaque."""
    reach = NEAR * max(plane.grey.shape)
    opacity = np.clip(np.exp(-((points[:, 2] / reach) ** 2)), 0.15, 1)
    colours = [to_rgb(COLOURS[i % len(COLOURS)]) for i in range(len(points))]
    ax.scatter(
        points[:, 1], points[:, 0], s=26, c=colours, alpha=opacity, edgecolors="black",
        linewidths=0.6, clip_on=False, zorder=3,
    )  # fmt: skip
    height, width = plane.grey.shape
    ax.set_xlim(-0.5, width - 0.5)
    ax.set_ylim(height - 0.5, -0.5)


def _explain_colours(figure: Figure, look: _Look, axes: np.ndarray) -> None:
    marks: list[Line2D | Patch] = [
        Line2D([], [], color=PREDICTED, label="segmentation"),
        Line2D([], [], color="#c9cdd2", label="label"),
    ]
    marks += [Patch(color=tuple(colour), label=name) for name, colour in look.colours.items()]
    if look.norm is not None:
        bar = figure.colorbar(
            ScalarMappable(look.norm, HEAT), ax=axes.ravel().tolist(), location="right",
            shrink=0.6, aspect=30, pad=0.01,
        )  # fmt: skip
        bar.ax.tick_params(labelsize=7, colors=MUTED)
        bar.set_label(look.name, fontsize=8, color=MUTED)
        bar.outline.set_visible(False)
    figure.legend(
        handles=marks, loc="outside lower left", ncols=len(marks), frameon=False, fontsize=8,
        labelcolor=MUTED, handlelength=1.2, columnspacing=1.4,
    )  # fmt: skip


def _width(views: Sequence[CaseView], plane: int) -> float:
    """Of a column, where a slice is one high."""
    sizes = (view.planes[plane] for view in views)
    shares = [p.grey.shape[1] * p.pixel[1] / (p.grey.shape[0] * p.pixel[0]) for p in sizes]
    return float(np.clip(max(shares), 0.5, 2))
