"""A checked data set for the terminal and for programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from rich.table import Table
from rich.text import Text

from nas.report.plain_table import plain_table
from trainers.counted import counted
from trainers.data.check.facts import CaseFacts
from trainers.data.check.finding import Finding, grouped, verdict, whose
from trainers.data.source import DataSource
from trainers.data.splits import Cases
from trainers.volumes.geometry import by

LINES = 12  # of one kind of doubt
NAMED = 8  # cases in a line
CASE_WIDTH = 32


@dataclass(frozen=True)
class DataReport:
    """All that `segnas check` tells. `cases`: those that could be read. `patients`: how many the
    configuration or the data make of them, None where they do not say."""

    source: DataSource
    cases: Sequence[CaseFacts]
    findings: Sequence[Finding]
    split: Cases | None
    patients: int | None = None

    @property
    def faults(self) -> list[Finding]:
        """What refuses the data."""
        return [one for one in self.findings if one.fault]

    @property
    def doubts(self) -> list[Finding]:
        """What a person should look at."""
        return [one for one in self.findings if not one.fault]

    @property
    def parts(self) -> dict[str, tuple[str, ...]]:
        """The parts of the split with their cases; none where no split is known."""
        return self.split.parts if self.split else {}

    def to_json(self) -> dict[str, Any]:
        source = self.source
        return {
            "folder": str(source.folder),
            "modalities": source.modalities,
            "classes": source.classes,
            **({} if source.targets.plain else asdict(source.targets)),
            "faults": len(self.faults),
            "doubts": len(self.doubts),
            "findings": [
                {"fault": one.fault, **one.model_dump(mode="json")} for one in self.findings
            ],
            "split": self.parts or None,
            "patients": self.patients,
            "cases": [one.model_dump(mode="json") for one in self.cases],
        }


def report_tables(report: DataReport) -> Iterator[Table | Text]:
    """Sizes, intensities, classes, and what was found."""
    source = report.source
    told = ", ".join(f"{len(names)} {part}" for part, names in report.parts.items())
    split = f"; {told}" if told else ""
    of = f" of {counted(report.patients, 'patient')}" if report.patients else ""
    yield Text(f"{source.folder}: {counted(len(source.cases), 'case')}{of}{split}", "bold")
    if report.cases:
        yield _sizes(report.cases)
        yield _intensities(report)
        yield _classes(report)
    if report.findings:
        yield _findings(report)


def verdict_line(report: DataReport) -> Text:
    """The last line: what came of it."""
    doubts = len(report.doubts)
    told = counted(doubts, "doubt") if doubts else "no doubts"
    if report.faults:
        return Text(f"{verdict(report.faults, len(report.source.cases))}; {told}", "bold red")
    return Text(f"no faults, {told}", "bold yellow" if doubts else "bold green")


def _sizes(cases: Sequence[CaseFacts]) -> Table:
    table = plain_table(["right, front, up"], ["smallest", "median", "largest"])
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
    table = plain_table(["intensities"], ["lowest", "0.5%", "median", "99.5%", "highest"])
    values = np.array([case.intensities for case in report.cases])  # (cases, C, percentiles)
    for index, modality in enumerate(report.source.modalities):
        table.add_row(Text(modality), *(_spread(column) for column in values[:, index].T))
    return table


def _classes(report: DataReport) -> Table:
    """In how many cases a class or region is, and how large it is there; also what is ignored."""
    parts = report.parts or {"cases": tuple(case.name for case in report.cases)}
    table = plain_table(["class"], [*parts, "volume, ml"])
    for name, voxels in _voxels(report):
        having = [(case, count) for case, count in zip(report.cases, voxels, strict=True) if count]
        counts = [sum(case.name in names for case, _ in having) for names in parts.values()]
        sizes = [count * float(np.prod(case.voxel_size)) / 1000 for case, count in having]
        counted = [Text(str(count), "" if count else "bold yellow") for count in counts]
        volume = _spread(np.array(sizes)) if sizes else "-"
        table.add_row(Text(name), *counted, volume)
    return table


def _voxels(report: DataReport) -> Iterator[tuple[str, list[int]]]:
    """What a row is of, and how many voxels each case has of it."""
    targets = report.source.targets
    for index, name in enumerate(targets.classes[1:], start=1):
        yield f"{index} {name}", [case.voxels[index] for case in report.cases]
    for region in targets.regions:
        name = f"{region.name} ({', '.join(map(str, region.labels))})"
        yield name, [sum(case.voxels[v] for v in region.labels) for case in report.cases]
    if targets.ignore is not None:
        yield f"{targets.ignore}, ignored", [case.ignored for case in report.cases]


def _findings(report: DataReport) -> Table:
    table = plain_table(["", "case", "what"])
    table.columns[1].max_width = CASE_WIDTH
    for one in sorted(report.faults, key=lambda one: one.case or ""):
        table.add_row(Text("fault", "bold red"), Text(one.case or "all"), Text(one.message))
    for cases, message in grouped(report.doubts, LINES):
        names = whose(cases, NAMED) or "all"
        table.add_row(Text("doubt", "yellow"), Text(names), Text(message))
    return table


def _spread(values: np.ndarray) -> str:
    """Median (smallest to largest)."""
    low, median, high = map(_number, (values.min(), np.median(values), values.max()))
    return median if low == high else f"{median} ({low} to {high})"


def _number(value: float) -> str:
    return f"{value:,.0f}" if 999.5 <= abs(value) < 1e9 else f"{value:.3g}"
