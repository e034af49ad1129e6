"""The preview as files, as JSON and in the terminal."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from nas.analysis.preview.figure import preview_figure
from nas.analysis.preview.make_preview import Preview
from nas.analysis.preview.page import preview_page
from nas.analysis.preview.sentences import (
    budget_text,
    hours_texts,
    latency_texts,
    sample_text,
    side_by_side_texts,
)
from nas.analysis.preview.tables import cost_table, knob_table, network_table
from nas.pareto.objectives import COSTS, LATENCY
from nas.report.html_page import png
from trainers.atomic import write_folder

JSON, HTML, PNG = "preview.json", "preview.html", "preview.png"
QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)


def write_preview(preview: Preview, folder: Path) -> dict[str, Any]:
    """Write preview.json, .html and .png, all or none; returns the content of the first."""
    title = f"Preview of {preview.name}"
    report = preview_json(preview)
    report["files"] = [str(folder / name) for name in (JSON, HTML, PNG)]
    files = {
        JSON: (json.dumps(report, indent=1, allow_nan=False) + "\n").encode(),
        HTML: preview_page(preview, title).encode(),
        PNG: png(preview_figure(preview, title)),
    }
    write_folder(folder, files)
    return report


def preview_parts(preview: Preview) -> list[str | Table]:
    """Sentences and tables, for a terminal."""
    return [
        sample_text(preview),
        cost_table(preview),
        budget_text(preview),
        *latency_texts(preview),
        *([knob_table(preview)] if preview.importances else []),
        network_table(preview),
        *hours_texts(preview),
        *side_by_side_texts(preview.side_by_side),
    ]


def preview_json(preview: Preview) -> dict[str, Any]:
    """Plain JSON values; costs in bytes, milliseconds and plain counts."""
    survey, allowed, counting = preview.survey, preview.allowed, preview.counting
    return {
        "name": preview.name,
        "space": preview.space,
        "seed": preview.seed,
        "channels": counting.channels,
        "classes": counting.classes,
        "patch": list(counting.train.patch),
        "batch": counting.train.batch,
        "samples": len(survey.draw.points),
        "draws": survey.draw.draws,
        "broken": len(survey.broken),
        "costs": {name: _distribution(values) for name in COSTS if (values := survey.values(name))},
        "budget": {
            "share": allowed.share,
            "limits": {limit.name: asdict(limit) for limit in allowed.limits},
        },
        "importances": {
            found.objective: {
                "architectures": found.networks,
                "knobs": [
                    {"knob": knob, "share": share, "beyond_chance": knob in found.beyond_chance}
                    for knob, share in found.shares.items()
                ],
            }
            for found in preview.importances
        },
        "references": [known.to_json() for known in preview.known],
        "latency": _latency_json(preview),
        "candidates": _candidates_json(preview),
        "search": preview.forecast.to_json() if preview.forecast else None,
        "side_by_side": asdict(preview.side_by_side) if preview.side_by_side else None,
    }


def _distribution(values: list[float]) -> dict[str, Any]:
    found = np.quantile(values, QUANTILES).tolist()
    return {
        "architectures": len(values),
        "quantiles": {f"{q:g}": value for q, value in zip(QUANTILES, found, strict=True)},
    }


def _latency_json(preview: Preview) -> dict[str, Any] | None:
    """What was measured; of several devices that of each by its name."""
    points = preview.survey.draw.points
    each = {
        name: {
            "conditions": latencies.conditions.to_json(),
            "p50_ms": {points[i].key: value for i, value in latencies.found.items()},
            "failures": {points[i].key: why for i, why in latencies.failures.items()},
        }
        for name, latencies in preview.latencies.items()
    }
    return each.get(LATENCY, each) or None


def _candidates_json(preview: Preview) -> list[dict[str, Any]]:
    survey = preview.survey
    return [
        {
            "key": survey.draw.points[i].key,
            **survey.costs[i],
            "seconds": None if isinstance(outcome, str) else asdict(outcome),
            "failure": outcome if isinstance(outcome, str) else None,
        }
        for i, outcome in sorted(preview.timings.items())
    ]
