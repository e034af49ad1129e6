"""An evaluation for the terminal: means, worst cases, and what the network measured of itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rich.table import Table

from nas.pareto.objectives import in_digits
from nas.report.plain_table import plain_table
from nas.report.terminal_tables import clock
from trainers.bootstrap import RESAMPLES, Mean
from trainers.counted import counted
from trainers.evaluate import Evaluation

WORST = 5
HEADS = {
    "dice": "Dice",
    "iou": "IoU",
    "hd95_mm": "HD95 mm",
    "assd_mm": "ASSD mm",
    "nsd": "NSD {tolerance:g} mm",
    "hd_mm": "HD mm",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "accuracy": "accuracy",
}


def evaluation_tables(evaluation: Evaluation, columns: Sequence[str]) -> Iterator[Table]:
    """The means of the metrics `columns` for each class, and the cases of lowest Dice."""
    yield _means(evaluation, columns)
    yield _worst(evaluation)


def _means(evaluation: Evaluation, columns: Sequence[str]) -> Table:
    heads = (HEADS[column].format(tolerance=evaluation.tolerance_mm) for column in columns)
    title = f"means of {counted(len(evaluation.cases), 'case')}, and their 95% intervals"
    table = plain_table(["class", *heads, "cases"], title=title, caption=_caption(evaluation))
    rows = [*evaluation.means.items(), ("all classes", evaluation.foreground)]
    for name, means in rows:
        cells = (_mean(means[metric], 2 if metric.endswith("_mm") else 3) for metric in columns)
        table.add_row(name, *cells, str(means["dice"].cases))
    return table


def _mean(mean: Mean, digits: int) -> str:
    if mean.value is None:
        return "-"
    text = f"{mean.value:.{digits}f}"
    if mean.low is None:
        return text
    return f"{text}\n{mean.low:.{digits}f}-{mean.high:.{digits}f}"


def _caption(evaluation: Evaluation) -> str:
    lines = [f"intervals: percentile bootstrap over the cases, {RESAMPLES:,} resamples"]
    lines += [
        f"{name}: in {count} of the cases only one segmentation has it; they count as Dice, IoU "
        "and NSD 0, and have no distance"
        for name, count in evaluation.one_sided.items()
        if count
    ]
    return "\n".join(lines)


def _worst(evaluation: Evaluation) -> Table:
    heads = ("case", "Dice", "worst class", "its Dice", "HD95 mm", "ASSD mm", "NSD")
    table = plain_table(heads, title="worst cases")
    known = [(case.dice, name) for name, case in evaluation.cases.items()]
    ordered = sorted((dice, name) for dice, name in known if dice is not None)
    for dice, name in ordered[:WORST]:
        scores = (score for score in evaluation.scores if score.case == name)
        worst = min(scores, key=lambda score: 2.0 if score.dice is None else score.dice)
        distances = (_number(worst.hd95_mm, 2), _number(worst.assd_mm, 2), _number(worst.nsd, 3))
        table.add_row(name, _number(dice, 4), worst.label, _number(worst.dice, 4), *distances)
    return table


def speed_line(evaluation: Evaluation) -> str:
    """How fast the cases were segmented, in words."""
    speed = evaluation.speed
    cases = counted(len(evaluation.cases), "case")
    rates = in_digits(speed.volumes_per_second, 3), in_digits(speed.frames_per_second, 3)
    took = f"{in_digits(speed.seconds, 3)} s" if speed.seconds < 60 else clock(speed.seconds)
    return (
        f"segmented {rates[0]} volumes/s, {rates[1]} axial slices/s ({cases} in {took}, reading "
        "included)"
    )


def measured_line(measured: Mapping[str, float], macs: Mapping[str, int]) -> str:
    """`measured` and the MACs of one patch that go with it, in words; empty where there is nothing.

    macs: of `effective_macs`.
    """
    parts = [f"{name} {value:.2%}" for name, value in measured.items()]
    if macs:
        giga = {name: f"{value / 1e9:.4g}" for name, value in macs.items()}
        parts.append(
            f"{giga['effective_macs']} GMACs a patch at that alpha, between {giga['macs_least']} "
            f"and {giga['macs']}"
        )
    return f"measured: {', '.join(parts)}" if parts else ""


def seen_line(training: int, validation: int, cases: int) -> str:
    """A warning where the network knows some of the cases; empty where it knows none."""
    if training:
        others = f", {counted(validation, 'validation case')}" if validation else ""
        return f"{training} of {cases} are training cases of the network{others}: Dice is too good"
    if validation:
        return (
            f"{validation} of {cases} are validation cases, by which the network was chosen: Dice "
            "is too good"
        )
    return ""


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
