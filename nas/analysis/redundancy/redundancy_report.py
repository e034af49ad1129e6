"""The whole of `segnas redundancy`: measure an export, propose gates, write it all down."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from nas.analysis.redundancy.analysis import (
    Redundancy,
    SubLayer,
    analyse,
    check_has_sublayers,
    plain_network,
    sublayer_count,
)
from nas.analysis.redundancy.figure import write_figure
from nas.analysis.redundancy.layer_hooks import Output
from nas.analysis.redundancy.page import redundancy_page
from nas.analysis.redundancy.panels import NAMES, panels
from nas.analysis.redundancy.pruning_proposal import Proposal, check_count, propose
from nas.analysis.redundancy.table import LEGEND, redundancy_table, table_rows
from nas.cost.count import Cost, cost_of
from nas.export.export_folder import Export
from nas.pareto.objectives import short_number
from search_spaces.registry import architecture_record
from search_spaces.space import Architecture
from trainers.data.msd import find_volumes
from trainers.errors import UserError

JSON, HTML, PNG = "redundancy.json", "redundancy.html", "redundancy.png"
PROPOSAL = "proposal.json"
COMPARED = {
    "residual": "the output of a sub-layer is taken with its residual, which is all that a layer "
    "without it would pass on",
    "branch": "the output of a sub-layer is taken without its residual",
}


@dataclass(frozen=True)
class Report:
    """What was measured of `architecture`, and what is proposed; costs are those of one patch."""

    architecture: Architecture
    weights: str
    redundancy: Redundancy
    proposal: Proposal | None
    before: Cost
    after: Cost | None

    @property
    def closed(self) -> tuple[SubLayer, ...]:
        """The sub-layers that are proposed to go, most redundant first."""
        return self.proposal.closed if self.proposal else ()

    def to_json(self) -> dict[str, Any]:
        """A plain dict of JSON values."""
        return {
            "space": self.architecture.space,
            "key": self.architecture.key,
            "weights": self.weights,
            **self.redundancy.to_json(),
            "proposal": self._proposal_json(),
        }

    def _proposal_json(self) -> dict[str, Any] | None:
        if self.proposal is None or self.after is None:
            return None
        return {
            **architecture_record(self.proposal.architecture),
            "closed": [f"{s.layer}.{s.part}" for s in self.proposal.closed],
            "params": {"before": self.before.params, "after": self.after.params},
            "macs": {"before": self.before.macs, "after": self.after.macs},
        }

    def conclusion(self) -> str:
        """The proposal in words."""
        if self.proposal is None or self.after is None:
            return (
                f"No proposal: the networks of {self.architecture.space} have no gate for each of "
                "these sub-layers, or none that may be closed"
            )
        names = [f"B{s.block} L{s.position} {NAMES[s.part]}" for s in self.proposal.closed]
        params, macs = (self.before.params, self.after.params), (self.before.macs, self.after.macs)
        return (
            f"Proposal {self.proposal.architecture.key} does without {', '.join(names)}: "
            f"{_change(*params)} parameters, {_change(*macs)} MACs a patch"
        )


def redundancy_report(
    export: Export,
    data: Path,
    prune: int | None = None,
    output: Output = "residual",
    progress: Callable[[int, int, str], None] | None = None,
) -> Report:
    """Measure an exported network over the volumes of `data` and propose to drop `prune` parts.

    `prune`: about a quarter of the sub-layers where it is None. Raises UserError for unusable data,
    for a network without sub-layers to compare, and for a `prune` above their number.
    """
    volumes = find_images(data)
    segmenter = export.segmenter()
    network = plain_network(segmenter)
    check_has_sublayers(network)
    count = check_count(prune, sublayer_count(network))
    redundancy = analyse(segmenter, volumes, output, progress)
    proposal = propose(export.architecture, network, redundancy.ranked(), count)

    def cost(architecture: Architecture) -> Cost:
        task = segmenter.task
        return cost_of(architecture, task.channels, len(task.classes), task.patch)

    return Report(
        architecture=export.architecture,
        weights=export.weights.stem,
        redundancy=redundancy,
        proposal=proposal,
        before=cost(export.architecture),
        after=cost(proposal.architecture) if proposal else None,
    )


def find_images(data: Path) -> list[Path]:
    """The NIfTI images of a folder, or of a data set's `imagesTr`. Raises UserError."""
    inside = data / "imagesTr"
    folder = inside if inside.is_dir() else data
    volumes = list(find_volumes(folder).values())
    if not volumes:
        raise UserError(f"{folder} has no .nii or .nii.gz file")
    return volumes


def target(export: Path, to: Path | None) -> Path:
    """The folder to write into, `redundancy` in the export by default. Raises UserError."""
    folder = to or export / "redundancy"
    if folder.exists() and not folder.is_dir():
        raise UserError(f"--to {folder} is a file; expected a folder, new or old")
    return folder


def write_report(report: Report, to: Path) -> list[Path]:
    """Write redundancy.json, .html and .png and, if there is one, proposal.json, the last of the
    paths that are returned."""
    to.mkdir(parents=True, exist_ok=True)
    title = f"Redundancy of {report.architecture.space} {report.architecture.key}"
    drawn = panels(report.redundancy, report.closed)
    (to / JSON).write_text(json.dumps(report.to_json(), indent=1, allow_nan=False) + "\n")
    rows = table_rows(report.redundancy, report.closed)
    page = redundancy_page(drawn, title, _paragraphs(report), rows)
    (to / HTML).write_text(page, encoding="utf-8")
    write_figure(drawn, title, to / PNG)
    written = [to / JSON, to / HTML, to / PNG]
    if report.proposal:
        record = architecture_record(report.proposal.architecture)
        (to / PROPOSAL).write_text(json.dumps(record, indent=1) + "\n")
        written.append(to / PROPOSAL)
    return written


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


def _paragraphs(report: Report) -> list[str]:
    redundancy = report.redundancy
    volumes = len(redundancy.volumes)
    return [
        f"Input against output of every block, layer and sub-layer with the {report.weights} "
        f"weights over {volumes} volume{'s' if volumes > 1 else ''}: 1 is no change, a redundant "
        f"part is near 1. With LN: the input before the layer norm; without: after it; "
        f"{COMPARED[redundancy.output]}.",
        f"{report.conclusion()}. In the table, {LEGEND}.",
    ]


def _change(before: int, after: int) -> str:
    share = (before - after) / before
    return f"{short_number(before)} → {short_number(after)} ({share:.1%} less)"
