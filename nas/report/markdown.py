"""The text of a report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nas.config.run_config import RunConfig
from nas.pareto.objectives import objective
from nas.report.search_record import SearchRecord
from nas.report.tables import caption, markdown_table
from nas.report.terminal_tables import clock


def report_text(config: RunConfig, record: SearchRecord, drawn: Sequence[str]) -> str:
    """The report as Markdown; `drawn` are the names of the figures beside it."""
    sections = [_opening(config, record), _setup(config, record), _front(record, drawn)]
    if "curves" in drawn:
        sections.append(_curves())
    if "importance" in drawn:
        sections.append(_importance(record))
    sections.append(_reading(config))
    return "\n\n".join("\n".join(section) for section in sections) + "\n"


def _opening(config: RunConfig, record: SearchRecord) -> Iterator[str]:
    states, dices = record.states, [m.dice for m in record.members if m.dice is not None]
    yield f"# {config.name}"
    yield ""
    best = f" The best reaches a validation Dice of {max(dices):.4f}." if dices else ""
    yield (
        f"{len(record.results)} candidates of the space `{config.space.name}` ended: "
        f"{states['complete']} trained whole, {states['stopped']} stopped early, "
        f"{states['infeasible']} infeasible. {len(record.members)} are on the Pareto front of "
        f"{', '.join(config.objectives)}.{best}"
    )
    yield ""
    yield "The same as an interactive page: [front.html](front.html)."


def _setup(config: RunConfig, record: SearchRecord) -> Iterator[str]:
    epochs = sum(result.epochs for result in record.results)
    limits = [
        f"{objective(name).phrase} {objective(name).exact(limit)}"
        for name, limit in config.budget.limits().items()
    ]
    rows = {
        "search": record.id,
        "classes": ", ".join(record.classes),
        "patch": " x ".join(map(str, config.train.patch)),
        "objectives": ", ".join(config.objectives),
        "budget of a network": ", ".join(limits) or "none",
        "proposals": config.search.sampler
        if isinstance(config.search.sampler, str)
        else str(config.search.sampler.get("name")),
        "early stopping": "on" if config.search.early_stopping else "off",
        "epochs": f"{config.train.epochs} a training, {epochs:,} in all",
        "seed": str(config.seed),
    }
    if seconds := record.summary.get("wall_seconds"):
        rows["time of the last session"] = clock(float(seconds))
    if record.conditions:
        rows["latency"] = f"median of a pass, {record.conditions}"
    yield "## Set-up"
    yield ""
    yield "| | |"
    yield "|---|---|"
    for name, value in rows.items():
        yield f"| {name} | {value.replace('|', chr(92) + '|')} |"


def _front(record: SearchRecord, drawn: Sequence[str]) -> Iterator[str]:
    yield "## The front"
    yield ""
    if "front" in drawn:
        yield "![Dice against each cost](front.png)"
        yield ""
        yield (
            "*Validation Dice of every network that was trained whole. The line is the best Dice "
            "within a cost; a blue point below it is on the front for another objective.*"
        )
        yield ""
    if record.members:
        yield from markdown_table(record)
        yield ""
        yield f"*{caption(record)}*"
    else:
        yield "No candidate was trained whole, so there is no front."


def _curves() -> Iterator[str]:
    yield "## Learning curves"
    yield ""
    yield "![Validation Dice by epoch](curves.png)"


def _importance(record: SearchRecord) -> Iterator[str]:
    yield "## Knob importance"
    yield ""
    yield "![Importance of each knob for each objective](importance.png)"
    yield ""
    counts = ", ".join(f"{each.objective} {each.networks}" for each in record.importances)
    yield (
        "*How far the choices of the best quarter differ from those of all networks (PED-ANOVA, "
        "Watanabe et al. 2023). Blue is beyond what the same networks give with their values "
        f"shuffled, grey is not. Networks it is worked out from: {counts}.*"
    )


def _reading(config: RunConfig) -> Iterator[str]:
    yield "## How to read it"
    yield ""
    yield (
        "- Networks were chosen by these validation cases, so that a lower Dice is to be expected "
        "on new ones. Retrain what is picked, and report the Dice of test cases."
    )
    yield (
        "- Each network was trained once. Another seed alone moves the Dice; among networks that "
        "are close, none is the better one."
    )
    yield (f"- Dice is that after {config.train.epochs} epochs, not that of a whole schedule.")
