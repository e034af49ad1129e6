"""What was measured as files."""

from __future__ import annotations

import json
from pathlib import Path

from nas.analysis.redundancy.figure import redundancy_figure, redundancy_panels
from nas.analysis.redundancy.redundancy_report import Report
from nas.analysis.redundancy.table import redundancy_table
from nas.report.html_page import html_page, html_table, paragraphs, png, svg_panels
from search_spaces.registry import architecture_record
from trainers.atomic import write_folder

JSON, HTML, PNG = "redundancy.json", "redundancy.html", "redundancy.png"
PROPOSAL = "proposal.json"
COMPARED = {
    "residual": "the output of a sub-layer is taken with its residual, which is all that a layer "
    "without it would pass on",
    "branch": "the output of a sub-layer is taken without its residual",
}
CKA = {
    "centred": "CKA is of centred features",
    "uncentred": "CKA is of features that are not centred, as SlimFormer-3D's Eq. 3 has it",
}


def write_report(report: Report, to: Path) -> list[Path]:
    """Write redundancy.json, .html and .png and, if there is one, proposal.json, the last of the
    paths that are returned; all of them or none."""
    title = f"Redundancy of {report.architecture.space} {report.architecture.key}"
    figure = redundancy_figure(report.redundancy, report.closed, title)
    files = {
        JSON: (json.dumps(report.to_json(), indent=1, allow_nan=False) + "\n").encode(),
        HTML: _page(report, title).encode(),
        PNG: png(figure),
    }
    if report.proposal:
        record = architecture_record(report.proposal.architecture)
        files[PROPOSAL] = (json.dumps(record, indent=1) + "\n").encode()
    write_folder(to, files)
    return [to / name for name in files]


def _page(report: Report, title: str) -> str:
    redundancy, volumes = report.redundancy, len(report.redundancy.volumes)
    parts = (
        paragraphs(
            f"Input against output of every block, layer and sub-layer with the {report.weights} "
            f"weights over {volumes} volume{'s' if volumes > 1 else ''}: 1 is no change, a "
            "redundant part is near 1. With LN: the input before the layer norm; without: after "
            f"it; {COMPARED[redundancy.output]}. {CKA[redundancy.cka]}.",
            f"{report.conclusion()}.",
            *([f"{seen}."] if (seen := report.seen()) else []),
        ),
        svg_panels(redundancy_panels(redundancy, report.closed), 380),
        html_table(redundancy_table(redundancy, report.closed, modules=True)),
    )
    return html_page(title, parts)
