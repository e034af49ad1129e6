"""The preview as one self-contained HTML page."""

from __future__ import annotations

from collections.abc import Iterator

from nas.analysis.preview import sentences, tables
from nas.analysis.preview.figure import histogram_panels, knob_panels, plane_panels
from nas.analysis.preview.make_preview import Preview
from nas.report.html_page import fact_tiles, html_page, html_table, paragraphs, section, svg_panels


def preview_page(preview: Preview, title: str) -> str:
    """Distributions, knobs, known networks, and the hours of the search."""
    return html_page(title, _parts(preview))


def _parts(preview: Preview) -> Iterator[str]:
    yield paragraphs(sentences.sample_text(preview))
    yield fact_tiles(_facts(preview))
    yield section(
        "What they cost",
        paragraphs(sentences.budget_text(preview)),
        svg_panels(histogram_panels(preview), 380),
        html_table(tables.cost_table(preview)),
    )
    if preview.importances:
        yield section(
            "Which knob drives a cost",
            paragraphs(sentences.HOW_TO_READ_KNOBS),
            svg_panels(knob_panels(preview), 380),
            html_table(tables.knob_table(preview)),
        )
    yield section(
        "Where known networks lie",
        paragraphs(sentences.HOW_TO_READ_MARKS),
        svg_panels(plane_panels(preview), 580),
        html_table(tables.network_table(preview)),
    )
    if preview.latencies:
        told = paragraphs(*sentences.latency_texts(preview))
        yield section("Latencies", told, html_table(tables.latency_table(preview)))
    if hours := list(sentences.hours_texts(preview)):
        yield section("How long the search takes", paragraphs(*hours))
    if sharing := list(sentences.side_by_side_texts(preview.side_by_side)):
        yield section("How many trials a GPU should have", paragraphs(*sharing))


def _facts(preview: Preview) -> Iterator[tuple[str, str]]:
    """What is large on the page: a figure and what it is."""
    yield f"{len(preview.survey.draw.points):,}", "architectures"
    if preview.budget.limits():
        yield sentences.percent(preview.allowed.share), "within the budget"
    for limit in preview.allowed.limits:
        yield sentences.percent(limit.share), f"within {sentences.limit_text(limit)}"
    if forecast := preview.forecast:
        span = f"{sentences.hours_text(forecast.low)} to {sentences.hours_text(forecast.high)}"
        hours, trials = sentences.hours_text(forecast.hours), sentences.trials_text(forecast)
        yield hours, f"for {trials} ({span})"
