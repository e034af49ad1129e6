"""The preview as files, as JSON and in the terminal."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from nas.analysis.preview.figure import write_figure
from nas.analysis.preview.make_preview import Preview
from nas.analysis.preview.page import preview_page
from nas.analysis.preview.sentences import drawn, lasting, measured, passing
from nas.analysis.preview.table import cost_table, driver_table, reference_table
from trainers.errors import UserError

JSON, HTML, PNG = "preview.json", "preview.html", "preview.png"
QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
WIDTH = 100  # of tables that go into a file or a pipe


def writable_folder(folder: Path) -> Path:
    """The folder, made where it is missing. Raises UserError where it cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"--dir {folder} cannot hold the preview: {error.strerror}; give --dir another folder"
        ) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UserError(f"--dir {folder} cannot be written; give --dir another folder")
    return folder


def write_report(preview: Preview, folder: Path) -> dict[str, Any]:
    """Write preview.json, .html and .png; the first one's content."""
    title = f"Preview of {preview.config.name}"
    report = preview_json(preview)
    report["files"] = [str(folder / name) for name in (JSON, HTML, PNG)]
    (folder / JSON).write_text(json.dumps(report, indent=1, allow_nan=False) + "\n")
    (folder / HTML).write_text(preview_page(preview, title), encoding="utf-8")
    write_figure(preview, title, folder / PNG)
    return report


def preview_json(preview: Preview) -> dict[str, Any]:
    """Plain JSON values; costs in bytes, milliseconds and plain counts."""
    survey, allowed = preview.survey, preview.allowed
    return {
        "name": preview.config.name,
        "space": preview.config.space.name,
        "seed": preview.request.seed,
        "channels": preview.setting.channels,
        "classes": preview.setting.classes,
        "patch": list(preview.config.train.patch),
        "batch": preview.config.train.batch,
        "samples": len(survey.draw.points),
        "draws": survey.draw.draws,
        "unfit": survey.draw.unfit,
        "broken": len(survey.broken),
        "costs": {
            name: _distribution(values)
            for name in ("params", "macs", "memory", "latency_ms")
            if (values := survey.values(name))
        },
        "budget": {
            "share": allowed.share,
            "limits": {limit.name: asdict(limit) for limit in allowed.limits},
        },
        "drivers": {
            name: {
                "total": sum(driver.values for driver in found),
                "knobs": [{**asdict(driver), "share": driver.share} for driver in found],
            }
            for name, found in preview.drivers.items()
        },
        "references": [reference.to_json() for reference in preview.references],
        "latency": _latency_json(preview),
        "candidates": _candidates_json(preview),
        "search": preview.forecast.to_json() if preview.forecast else None,
    }


def print_report(preview: Preview, folder: Path, console: Console) -> None:
    """Tables, sentences, and where the page is."""
    if not console.is_terminal:
        console.width = max(console.width, WIDTH)

    def say(text: str) -> None:
        console.print(text, highlight=False, markup=False)

    say(drawn(preview))
    console.print(cost_table(preview), highlight=False)
    say(passing(preview))
    for text in measured(preview):
        say(text)
    console.print(driver_table(preview), highlight=False)
    console.print(reference_table(preview), highlight=False)
    for text in lasting(preview):
        say(text)
    console.print(f"Browse: {folder / HTML}", highlight=False, markup=False, soft_wrap=True)


def _distribution(values: list[float]) -> dict[str, Any]:
    found = np.quantile(values, QUANTILES).tolist()
    return {
        "architectures": len(values),
        "quantiles": {f"{q:g}": value for q, value in zip(QUANTILES, found, strict=True)},
    }


def _latency_json(preview: Preview) -> dict[str, Any] | None:
    if preview.latencies is None:
        return None
    points = preview.survey.draw.points
    return {
        "conditions": preview.latencies.conditions.to_json(),
        "p50_ms": {points[i].key: value for i, value in preview.latencies.found.items()},
        "failures": {points[i].key: why for i, why in preview.latencies.failures.items()},
    }


def _candidates_json(preview: Preview) -> list[dict[str, Any]]:
    timed, survey = preview.timed, preview.survey
    if timed is None:
        return []
    ended = sorted({*timed.timings, *timed.failures})
    return [
        {
            "key": survey.draw.points[i].key,
            **survey.costs[i],
            "seconds": asdict(timed.timings[i]) if i in timed.timings else None,
            "failure": timed.failures.get(i),
        }
        for i in ended
    ]
