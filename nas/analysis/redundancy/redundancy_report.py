"""Measures an exported network and proposes which gates to close."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas.analysis.redundancy.analysis import (
    Redundancy,
    SubLayer,
    analyse,
    plain_network,
    sublayer_count,
)
from nas.analysis.redundancy.figure import NAMES
from nas.analysis.redundancy.layer_hooks import Output
from nas.analysis.redundancy.pruning_proposal import Proposal, check_count, propose
from nas.analysis.redundancy.similarity import Centring
from nas.cost.count import cost_of
from nas.export.export_folder import Export
from nas.export.learnt_cases import learnt_cases
from nas.pareto.objectives import short_number
from search_spaces.registry import architecture_record
from search_spaces.space import Architecture
from trainers.counted import counted
from trainers.data.check.facts import Progress
from trainers.data.volume_folder import VOLUMES
from trainers.data.volume_folder import find_images as images_in
from trainers.errors import UserError
from trainers.volumes.files import Image


@dataclass(frozen=True)
class Report:
    """What was measured of `architecture`, and what is proposed.

    `costs`: "params" and "macs" of a patch, each "before" and "after" the proposal; empty without.
    `learnt`: how many of the volumes the network was trained on, by their names.
    """

    architecture: Architecture
    weights: str
    redundancy: Redundancy
    proposal: Proposal | None
    costs: Mapping[str, Mapping[str, int]]
    learnt: int = 0

    @property
    def closed(self) -> tuple[SubLayer, ...]:
        """The sub-layers that are proposed to go, most redundant first."""
        return self.proposal.closed if self.proposal else ()

    def to_json(self) -> dict[str, Any]:
        return {
            "space": self.architecture.space,
            "key": self.architecture.key,
            "weights": self.weights,
            **self.redundancy.to_json(),
            "learnt": self.learnt,
            "proposal": self.proposal
            and {
                **architecture_record(self.proposal.architecture),
                "closed": [f"{s.layer}.{s.part}" for s in self.closed],
                **self.costs,
            },
        }

    def seen(self) -> str:
        """Where some of the volumes are training cases, that they are; else empty."""
        if not self.learnt:
            return ""
        volumes = counted(len(self.redundancy.volumes), "volume")
        verb = "is a training case" if self.learnt == 1 else "are training cases"
        return (
            f"{self.learnt} of {volumes} {verb} of the network, by name: on new ones its layers "
            "may do more, or less"
        )

    def conclusion(self) -> str:
        """The proposal in words."""
        if self.proposal is None:
            return (
                f"No proposal: the networks of {self.architecture.space} have no gate for each of "
                "these sub-layers, or none that may be closed"
            )
        names = [f"B{s.block} L{s.position} {NAMES[s.part]}" for s in self.closed]
        return (
            f"Proposal {self.proposal.architecture.key} does without {', '.join(names)}: "
            f"{_change(**self.costs['params'])} parameters, {_change(**self.costs['macs'])} MACs "
            "a patch"
        )


def redundancy_report(
    export: Export,
    data: Path,
    prune: int | None = None,
    output: Output = "residual",
    cka: Centring = "centred",
    progress: Progress = lambda *_: None,
) -> Report:
    """Measure an exported network over the volumes of `data` and propose to drop `prune` parts.

    `prune`: about a quarter of the sub-layers where it is None. Raises UserError for unusable data,
    for a network without sub-layers to compare, and for a `prune` above their number.
    """
    known = learnt_cases(export, first=True).training  # of folds the first is measured
    volumes = find_images(data, export.config.task.channels, known)
    segmenter = export.segmenter()
    network = plain_network(segmenter)
    count = check_count(prune, sublayer_count(network))
    redundancy = analyse(segmenter, list(volumes.values()), output, cka, progress)
    proposal = propose(export.architecture, network, redundancy.ranked(), count)

    costs: dict[str, dict[str, int]] = {"params": {}, "macs": {}} if proposal else {}
    if proposal:
        task, points = segmenter.task, (export.architecture, proposal.architecture)
        for when, point in zip(("before", "after"), points, strict=True):
            cost = cost_of(point, task.channels, task.targets.outputs, task.patch)
            costs["params"][when], costs["macs"][when] = cost.params, cost.macs
    weights = export.weights.stem
    learnt = len(known & volumes.keys())
    return Report(export.architecture, weights, redundancy, proposal, costs, learnt)


def find_images(data: Path, channels: int = 1, known: Container[str] = ()) -> Mapping[str, Image]:
    """The images of a folder, or of a data set's `imagesTr`, by name. Raises UserError.

    known: names of cases, see `trainers.data.volume_folder`.
    """
    inside = data / "imagesTr"
    folder = inside if inside.is_dir() else data
    volumes = images_in(folder, channels, known)
    if not volumes:
        raise UserError(f"{folder} has no {VOLUMES}")
    return volumes


def _change(before: int, after: int) -> str:
    share = (before - after) / before
    return f"{short_number(before)} → {short_number(after)} ({share:.1%} less)"
