"""The text of a report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nas.config.run_config import RunConfig
from nas.export.markdown_text import plain
from nas.pareto.objectives import objective
from nas.pareto.reference import REFERENCE, above_reference, dice_reference
from nas.report.search_record import COMPRESSED, SearchRecord
from nas.report.tables import caption, markdown_table
from nas.report.terminal_tables import clock

READING = """\
## How to read it

- Networks were chosen by these validation cases, so that a lower Dice is to be expected on new \
ones. Retrain what is picked, and report the Dice of test cases.
- Another seed alone moves the Dice; among networks that are close, none is the better one. \
Where a network was trained again, Dice is the mean; front.html has the chances.
- Dice is that after {epochs} epochs, not that of a whole schedule.
"""


def report_text(config: RunConfig, record: SearchRecord, drawn: Sequence[str]) -> str:
    """The report as Markdown; `drawn` are the names of the figures beside it."""
    return "\n\n".join(_paragraphs(config, record, drawn))


def _paragraphs(config: RunConfig, record: SearchRecord, drawn: Sequence[str]) -> Iterator[str]:
    yield f"# {config.name}"
    yield _opening(config, record)
    yield "The same as an interactive page: [front.html](front.html)."
    yield "## Set-up"
    yield _setup(config, record)
    yield "## The front"
    if "front" in drawn:
        yield "![Dice against each cost](front.png)"
        yield (
            "*Validation Dice of every network that was trained whole. The line is the best Dice "
            "within a cost; a blue point below it is on the front for another objective.*"
        )
    if record.members:
        yield markdown_table(record)
        yield f"*{plain(caption(record))}*"
        worth = above_reference(record.members)
        if cheap := [f"`{member.key}`" for member in record.members if member not in worth]:
            least = objective("dice").exact(dice_reference(record.members))
            told = f"with a Dice below {least}, {REFERENCE} of the best: {', '.join(cheap)}."
            yield f"On the front for what they cost alone, {told}"
        if record.waiting:
            yield plain(record.waiting)
        if record.baseline_verdict:
            squares = "; in the figure they are squares" if "front" in drawn else ""
            verdict = plain(record.baseline_verdict)
            shared = (record.settings.get("search.supernet") or {}).get("fine_tune")
            how = "whole and from new weights" if shared else "by the same recipe"
            yield f"{verdict} Baselines are trained {how}{squares}."
        if record.compressed:
            stars = "; in the figure they are stars" if "front" in drawn else ""
            yield f"{COMPRESSED}{stars}."
    else:
        yield "No candidate was trained whole, so there is no front."
    if "curves" in drawn:
        yield "## Learning curves"
        yield "![Validation Dice by epoch](curves.png)"
    if "importance" in drawn:
        yield "## Knob importance"
        yield "![Importance of each knob for each objective](importance.png)"
        counts = ", ".join(f"{each.objective} {each.networks}" for each in record.importances)
        yield (
            "*How far the choices of the best quarter differ from those of all networks "
            "(PED-ANOVA, Watanabe et al. 2023). Blue is beyond what the same networks give with "
            "their values shuffled, grey is not. Networks it is worked out from: "
            f"{counts}.*"
        )
    yield READING.format(epochs=config.of_candidates().train.epochs)


def _opening(config: RunConfig, record: SearchRecord) -> str:
    states, dices = record.states, [m.dice for m in record.members if m.dice is not None]
    best = f" The best reaches a validation Dice of {max(dices):.4f}." if dices else ""
    return (
        f"{len(record.results)} candidates of the space `{config.space.name}` ended: "
        f"{states['complete']} trained whole, {states['stopped']} stopped early, "
        f"{states['infeasible']} infeasible. {len(record.members)} are on the Pareto front of "
        f"{', '.join(config.objectives)}.{best}"
    )


def _setup(config: RunConfig, record: SearchRecord) -> str:
    epochs = sum(result.epochs for result in record.results)
    sampler = config.search.sampler
    limits = [
        f"{objective(name).phrase} {objective(name).exact(limit)}"
        for name, limit in config.budget.limits().items()
    ]
    rows = {
        "search": record.id,
        "classes": ", ".join(map(plain, record.classes)),
        "patch": " x ".join(map(str, config.train.patch)),
        "objectives": ", ".join(config.objectives),
        "budget of a network": ", ".join(limits) or "none",
        "proposals": plain(sampler if isinstance(sampler, str) else sampler.get("name")),
        "early stopping": "on" if config.search.early_stopping else "off",
        "epochs": f"{config.of_candidates().train.epochs} a training, {epochs:,} in all",
        "seed": str(config.seed),
    }
    if seconds := record.summary.get("wall_seconds"):
        rows["time of the last session"] = clock(float(seconds))
    if record.conditions:
        rows["latency"] = f"median of a pass, {plain(record.conditions)}"
    lines = (f"| {name} | {value} |" for name, value in rows.items())
    return "\n".join(["| | |", "|---|---|", *lines])
