"""What was measured as files and in the terminal."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from nas.analysis.redundancy.figure import redundancy_figure, redundancy_panels
from nas.analysis.redundancy.redundancy_report import Report
from nas.analysis.redundancy.table import LEGEND, redundancy_table
from nas.report.html_page import html_page, html_table, paragraphs, png, svg_panels
from search_spaces.registry import architecture_record
from trainers.atomic import write_folder
from trainers.errors import UserError

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


def output_folder(export: Path, to: Path | None) -> Path:
    """The folder to write into, `redundancy` in the export by default. Raises UserError."""
    folder = to or export / "redundancy"
    if folder.exists() and not folder.is_dir():
        raise UserError(f"--to {folder} is a file; expected a folder, new or old")
    return folder


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


def print_report(report: Report, written: Sequence[Path], console: Console) -> None:
    """The table, the files, the proposal, and what to do with it."""
    console.print(redundancy_table(report.redundancy, report.closed))

    def say(text: str) -> None:
        console.print(text, highlight=False, markup=False, soft_wrap=True)

    say(report.conclusion())
    say(f"written: {', '.join(map(str, written))}")
    if report.proposal:
        setting = shlex.quote(f'search.warm_start=["{written[-1]}"]')
        say(f"next: segnas search CONFIG --set {setting}")
        say(f"  (CONFIG searches the space {report.architecture.space}; `--dir` a new folder)")


def _page(report: Report, title: str) -> str:
    redundancy, volumes = report.redundancy, len(report.redundancy.volumes)
    parts = (
        paragraphs(
            f"Input against output of every block, layer and sub-layer with the {report.weights} "
            f"weights over {volumes} volume{'s' if volumes > 1 else ''}: 1 is no change, a "
            "redundant part is near 1. With LN: the input before the layer norm; without: after "
            f"it; {COMPARED[redundancy.output]}. {CKA[redundancy.cka]}.",
            f"{report.conclusion()}. In the table, {LEGEND}.",
        ),
        svg_panels(redundancy_panels(redundancy, report.closed), 380),
        html_table(redundancy_table(redundancy, report.closed, modules=True)),
    )
    return html_page(title, parts)
