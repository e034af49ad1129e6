"""The text of a report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nas.pareto.objectives import objective
from nas.report.search_record import Facts
from nas.report.tables import caption, markdown_table
from nas.report.terminal_tables import clock


def report_text(facts: Facts, drawn: Sequence[str]) -> str:
    """The report as Markdown; `drawn` are the names of the figures beside it."""
    sections = [_opening(facts), _setup(facts), _front(facts, drawn)]
    if "curves" in drawn:
        sections.append(_curves())
    if "importance" in drawn:
        sections.append(_importance(facts))
    sections.append(_reading(facts))
    return "\n\n".join("\n".join(section) for section in sections) + "\n"


def _opening(facts: Facts) -> Iterator[str]:
    states, dices = facts.states, [m.dice for m in facts.members if m.dice is not None]
    yield f"# {facts.config.name}"
    yield ""
    best = f" The best reaches a validation Dice of {max(dices):.4f}." if dices else ""
    yield (
        f"{len(facts.results)} candidates of the space `{facts.config.space.name}` ended: "
        f"{states['complete']} trained whole, {states['stopped']} stopped early, "
        f"{states['infeasible']} infeasible. {len(facts.members)} are on the Pareto front of "
        f"{', '.join(facts.config.objectives)}.{best}"
    )
    yield ""
    yield "The same as an interactive page: [front.html](front.html)."


def _setup(facts: Facts) -> Iterator[str]:
    config, epochs = facts.config, sum(result.epochs for result in facts.results)
    limits = [
        f"{objective(name).phrase} {objective(name).exact(limit)}"
        for name, limit in config.budget.limits().items()
    ]
    rows = {
        "search": facts.id,
        "classes": ", ".join(facts.classes),
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
    if seconds := facts.summary.get("wall_seconds"):
        rows["time of the last session"] = clock(float(seconds))
    if facts.conditions:
        rows["latency"] = f"median of a pass, {facts.conditions}"
    yield "## Set-up"
    yield ""
    yield "| | |"
    yield "|---|---|"
    for name, value in rows.items():
        yield f"| {name} | {value.replace('|', chr(92) + '|')} |"


def _front(facts: Facts, drawn: Sequence[str]) -> Iterator[str]:
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
    if facts.members:
        yield from markdown_table(facts)
        yield ""
        yield f"*{caption(facts)}*"
    else:
        yield "No candidate was trained whole, so there is no front."


def _curves() -> Iterator[str]:
    yield "## Learning curves"
    yield ""
    yield "![Validation Dice by epoch](curves.png)"


def _importance(facts: Facts) -> Iterator[str]:
    yield "## What matters"
    yield ""
    yield "![Importance of each knob for each objective](importance.png)"
    yield ""
    counts = ", ".join(f"{told.objective} {told.networks}" for told in facts.importances)
    yield (
        "*How far the choices of the best quarter differ from those of all networks (PED-ANOVA, "
        "Watanabe et al. 2023). Blue is beyond what the same networks give with their values "
        f"shuffled, grey is not. Networks it is told from: {counts}.*"
    )


def _reading(facts: Facts) -> Iterator[str]:
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
    yield (
        f"- Dice is that after {facts.config.train.epochs} epochs, not that of a whole schedule."
    )
