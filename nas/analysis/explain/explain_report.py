"""Watches an exported network on cases, and evaluates it again with its mechanisms replaced."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from torch import nn

from nas.analysis.explain.ablation import (
    MeansShown,
    dice_of_cases,
    difference,
    replaced,
    replacements_of,
)
from nas.analysis.explain.case_view import CaseView, look_at
from nas.analysis.explain.cases import ExplainedCases, find_cases, labelled
from nas.analysis.explain.price import prices
from nas.analysis.explain.probe import Item, shows_anything
from nas.analysis.explain.tally import Moved, Share, Tally
from nas.analysis.explain.verdict import Ablated
from nas.analysis.redundancy.analysis import plain_network, spaces_with
from nas.export.export_folder import Export
from nas.report.contact_sheet import evenly
from search_spaces.space import Architecture
from trainers.data.check import check_dataset
from trainers.data.check.facts import Progress
from trainers.errors import UserError
from trainers.segmenter import Segmenter


@dataclass(frozen=True)
class Ablation:
    """`dice`: by case, without a replacement and with each; None where a case has no class."""

    cases: tuple[str, ...]
    dice: tuple[float | None, ...]
    replaced: tuple[Ablated, ...]
    dice_replaced: tuple[tuple[float | None, ...], ...]

    @property
    def mean(self) -> float:
        """Dice as the network is, the mean over cases."""
        return float(np.nanmean(np.array(self.dice, float)))


@dataclass(frozen=True)
class Explanation:
    """What a network does on cases. `note`: what to know of them, in words. `about`: by mechanism,
    what the modules that show it are, in their own words."""

    architecture: Architecture
    weights: str
    note: str
    about: Mapping[str, tuple[str, ...]]
    views: tuple[CaseView, ...]
    shares: tuple[Share, ...]
    moved: tuple[Moved, ...]
    ablation: Ablation | None

    @property
    def mechanisms(self) -> tuple[str, ...]:
        """The names of what was shown, in the order of execution."""
        items = [*(share.item for share in self.shares), *(one.item for one in self.moved)]
        return tuple(dict.fromkeys(item.mechanism for item in items))

    def to_json(self) -> dict[str, Any]:
        return {
            "space": self.architecture.space,
            "key": self.architecture.key,
            "weights": self.weights,
            "note": self.note,
            "cases": [view.name for view in self.views],
            "shares": [asdict(share) for share in self.shares],
            "points": [asdict(one) for one in self.moved],
            "ablation": self.ablation and _ablation_json(self.ablation),
        }


def explain(
    export: Export,
    data: Path,
    labels: Path | None = None,
    most: int = 3,
    ablate: bool = False,
    progress: Progress = lambda *_: None,
) -> Explanation:
    """Look at `most` cases of `data`, evenly chosen; with `ablate`, evaluate all of them.

    Of an ensemble the first network is looked at, and without mirroring, in both. Raises UserError
    for unusable data, for a network without a mechanism to show and, with `ablate`, without labels.
    """
    segmenter = export.segmenter()
    network = plain_network(segmenter)
    if not shows_anything(network):
        raise UserError(
            "this network has no mechanism to explain: nothing in it prunes, attends, routes or "
            f"places anchors; networks of {', '.join(spaces_with(shows_anything))} do"
        )
    segmenter = replace(segmenter, network=network)
    with TemporaryDirectory(prefix="segnas-") as workdir:
        cases = find_cases(export, data, labels, Path(workdir))
        ablation = _ablated(export, segmenter, cases, data, progress) if ablate else None
        tally, views = Tally(), []
        chosen = evenly(cases.cases, most)
        for done, case in enumerate(chosen, start=1):
            views.append(look_at(segmenter, case, tally))
            progress(done, len(chosen), "looked at")
    shares, moved = tuple(tally.shares()), tuple(tally.moved())
    if not shares and not moved:
        raise UserError(
            "nothing that this network shows can be drawn: its tokens are not the voxels of a map"
        )
    return Explanation(
        export.architecture,
        export.weights.stem,
        cases.note(),
        _about(network, [*(share.item for share in shares), *(one.item for one in moved)]),
        tuple(views),
        shares,
        moved,
        ablation,
    )


def _ablated(
    export: Export, segmenter: Segmenter, found: ExplainedCases, data: Path, progress: Progress
) -> Ablation:
    what = replacements_of(segmenter.network)
    if not what:
        raise UserError(
            "nothing that this network decides has a replacement; leave --ablate out for the "
            "pictures alone"
        )
    dataset = labelled(found.cases, export, data)
    check_dataset(dataset, rule=segmenter.affine, expecting="the network")
    shown = MeansShown()
    segmenter.pop_metrics()  # of passes before these
    with shown.of(segmenter.network):
        before = dice_of_cases(segmenter, dataset.cases, progress, "evaluated")
    kept = 1.0 - segmenter.pop_metrics().get("alpha", 0.0)
    means = shown.means()
    priced = prices(export.architecture, segmenter.task, what, means, kept)
    names = [case.name for case in dataset.cases]
    results, by_case = [], []
    for one in what:
        doing = f"{one.mechanism}: {one.by}"
        with replaced(segmenter.network, one, means):
            after = dice_of_cases(segmenter, dataset.cases, progress, doing)
        by_case.append(_known(after))
        results.append(
            Ablated(
                one,
                float(np.nanmean(after)),
                difference(names, before, after, found.patients, found.unit),
                priced.own.get(one.mechanism, 0),
                priced.without[one],
                priced.macs,
            )
        )
    segmenter.pop_metrics()
    return Ablation(tuple(names), _known(before), tuple(results), tuple(by_case))


def _about(network: nn.Module, items: Iterable[Item]) -> dict[str, tuple[str, ...]]:
    """The first line of the docstring of each type of module that shows a mechanism."""
    lines: dict[str, dict[str, None]] = {}
    for item in items:
        kind = type(network.get_submodule(item.module))
        summary = (kind.__doc__ or "").partition("\n")[0]
        lines.setdefault(item.mechanism, {})[f"{kind.__name__}: {summary}"] = None
    return {mechanism: tuple(told) for mechanism, told in lines.items()}


def _known(values: np.ndarray) -> tuple[float | None, ...]:
    return tuple(None if math.isnan(value) else float(value) for value in values)


def _ablation_json(ablation: Ablation) -> dict[str, Any]:
    return {
        "cases": list(ablation.cases),
        "dice": list(ablation.dice),
        "replaced": [
            {**asdict(one), "verdict": one.verdict, "dice_by_case": list(dice)}
            for one, dice in zip(ablation.replaced, ablation.dice_replaced, strict=True)
        ],
    }
