"""A checked data set for the terminal and for programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from trainers.data.check.facts import CaseFacts
from trainers.data.check.finding import Finding, grouped, verdict
from trainers.data.source import DataSource
from trainers.data.splits import Cases
from trainers.volumes.geometry import by

NAMED = 8  # cases of one doubt that are named


@dataclass(frozen=True)
class DataReport:
    """All that `segnas check` tells. `cases`: those that could be read."""

    source: DataSource
    cases: Sequence[CaseFacts]
    findings: Sequence[Finding]
    split: Cases | None

    @property
    def faults(self) -> list[Finding]:
        """What refuses the data."""
        return [one for one in self.findings if one.fault]

    @property
    def doubts(self) -> list[Finding]:
        """What a person should look at."""
        return [one for one in self.findings if not one.fault]

    def to_json(self) -> dict[str, Any]:
        """A plain dict of JSON values."""
        source, parts = self.source, self.split
        return {
            "folder": str(source.folder),
            "modalities": source.modalities,
            "classes": source.classes,
            "faults": len(self.faults),
            "doubts": len(self.doubts),
            "findings": [
                {"fault": one.fault, **one.model_dump(mode="json")} for one in self.findings
            ],
            "split": None
            if parts is None
            else {name: list(names) for name, names in _named(parts)},
            "cases": [one.model_dump(mode="json") for one in self.cases],
        }


def report_tables(report: DataReport) -> Iterator[Table | Text]:
    """Sizes, intensities, classes, and what was found."""
    source = report.source
    yield Text(f"{source.folder}: {len(source.cases)} cases{_split_told(report.split)}", "bold")
    if report.cases:
        yield _sizes(report.cases)
        yield _intensities(report)
        yield _classes(report)
    if report.findings:
        yield _findings(report.findings)


def verdict_line(report: DataReport) -> Text:
    """The last line: what came of it."""
    doubts = len(report.doubts)
    told = f"{doubts or 'no'} doubt{'s' if doubts != 1 else ''}"
    if report.faults:
        return Text(f"{verdict(report.faults, len(report.source.cases))}; {told}", "bold red")
    return Text(f"no faults, {told}", "bold yellow" if doubts else "bold green")


def _split_told(split: Cases | None) -> str:
    if split is None:
        return ""
    return "; " + ", ".join(f"{len(names)} {part}" for part, names in _named(split) if names)


def _named(split: Cases) -> Iterator[tuple[str, tuple[str, ...]]]:
    return zip(
        ("training", "validation", "test"),
        (split.train, split.validation, split.test),
        strict=True,
    )


def _sizes(cases: Sequence[CaseFacts]) -> Table:
    table = _table("right, front, up", "smallest", "median", "largest")
    for name, rows in (
        ("voxels", [case.shape for case in cases]),
        ("voxel size, mm", [case.voxel_size for case in cases]),
        ("field of view, mm", [case.extent for case in cases]),
    ):
        values = np.array(rows, dtype=float)
        table.add_row(name, *(by(found(values, axis=0)) for found in (np.min, np.median, np.max)))
    return table


def _intensities(report: DataReport) -> Table:
    """Percentiles of the volumes: the median case, and the range of the cases."""
    table = _table("intensities", "lowest", "0.5%", "median", "99.5%", "highest")
    values = np.array([case.intensities for case in report.cases])  # (cases, C, percentiles)
    for index, modality in enumerate(report.source.modalities):
        table.add_row(modality, *(_spread(column) for column in values[:, index].T))
    return table


def _classes(report: DataReport) -> Table:
    """In how many cases a class is, and how large it is there."""
    parts = [("cases", None)] if report.split is None else list(_named(report.split))
    parts = [(part, names) for part, names in parts if names is None or names]
    table = _table("class", *(part for part, _ in parts), "volume, ml")
    for index, name in enumerate(report.source.classes[1:], start=1):
        having = [case for case in report.cases if case.voxels[index]]
        counts = [sum(names is None or case.name in names for case in having) for _, names in parts]
        sizes = [case.voxels[index] * float(np.prod(case.voxel_size)) / 1000 for case in having]
        counted = [Text(str(count), "" if count else "bold yellow") for count in counts]
        volume = _spread(np.array(sizes)) if sizes else "-"
        table.add_row(f"{index} {name}", *counted, volume)
    return table


def _findings(findings: Sequence[Finding]) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_header=True)
    for name, ratio in (("", None), ("case", 1), ("what", 2)):
        table.add_column(name, ratio=ratio, overflow="fold")
    faults = sorted((one for one in findings if one.fault), key=lambda one: one.case or "")
    for one in faults:
        table.add_row(Text("fault", "bold red"), one.case or "all", Text(one.message))
    for cases, message, _ in grouped([one for one in findings if not one.fault]):
        table.add_row(Text("doubt", "yellow"), _whose(cases), Text(message))
    return table


def _whose(cases: Sequence[str]) -> str:
    if not cases:
        return "all"
    more = f" and {len(cases) - NAMED} more" if len(cases) > NAMED else ""
    count = f"{len(cases)} cases: " if len(cases) > 1 else ""
    return f"{count}{', '.join(cases[:NAMED])}{more}"


def _spread(values: np.ndarray) -> str:
    """Median (smallest to largest)."""
    low, median, high = (
        f"{value:,.4g}" for value in (values.min(), np.median(values), values.max())
    )
    return median if low == high else f"{median} ({low} to {high})"


def _table(first: str, *rest: str) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column(first)
    for name in rest:
        table.add_column(name, justify="right")
    return table
