"""What was seen as one page, pictures and numbers."""

from __future__ import annotations

import json
import re
from pathlib import Path

from nas.analysis.explain.drawing import COLUMNS, items_of, mechanism_figure
from nas.analysis.explain.explain_report import Ablation, Explanation
from nas.analysis.explain.tables import ablation_table, cases_table, shares_table
from nas.report.html_page import (
    embedded,
    fact_tiles,
    html_page,
    html_table,
    paragraphs,
    png,
    section,
)
from trainers.atomic import write_folder

HTML, JSON = "explain.html", "explain.json"
READING = (
    "Slices are those of the network's input, after preprocessing, in radiological orientation: "
    "the patient's right is at the left. Where windows overlap, the one is drawn whose middle is "
    "nearest. Numbers are over all windows of the cases that are drawn; on structures: over the "
    "voxels that have a label, or are segmented where there is none."
)


def write_explanation(explanation: Explanation, to: Path) -> list[Path]:
    """Write explain.html, explain.json and a PNG for each mechanism: all of them or none."""
    pictures = {
        mechanism: png(mechanism_figure(mechanism, explanation.views))
        for mechanism in explanation.mechanisms
    }
    record = json.dumps(explanation.to_json(), indent=1, allow_nan=False) + "\n"
    files = {
        HTML: _page(explanation, pictures).encode(),
        JSON: record.encode(),
        **{_file_name(mechanism): picture for mechanism, picture in pictures.items()},
    }
    write_folder(to, files)
    return [to / name for name in files]


def _page(explanation: Explanation, pictures: dict[str, bytes]) -> str:
    point = explanation.architecture
    facts = [(str(len(explanation.views)), "cases drawn")]
    parts = []
    if explanation.ablation:
        facts += _facts(explanation.ablation)
        parts.append(_ablation(explanation.ablation))
    for mechanism in explanation.mechanisms:
        parts.append(_mechanism(explanation, mechanism, pictures[mechanism]))
    title = f"What {point.space} {point.key} does"
    note = explanation.note and f" {explanation.note[0].upper()}{explanation.note[1:]}."
    told = paragraphs(f"With the {explanation.weights} weights.{note} {READING}")
    return html_page(title, [told, fact_tiles(facts), *parts])


def _mechanism(explanation: Explanation, mechanism: str, picture: bytes) -> str:
    texts = [*explanation.about[mechanism], _how_drawn(explanation, mechanism)]
    if (items := len(items_of(mechanism, explanation.views))) > COLUMNS:
        texts.append(f"{COLUMNS} of {items} are drawn, evenly chosen.")
    return section(
        mechanism.capitalize(),
        paragraphs(" ".join(texts)),
        embedded(picture, mechanism),
        html_table(shares_table(explanation, mechanism)),
    )


def _how_drawn(explanation: Explanation, mechanism: str) -> str:
    names = {s.name for s in explanation.shares if s.item.mechanism == mechanism}
    if not names:
        return "A point is the paler the farther it is from the slice."
    return "Colours mix by share." if len(names) > 1 else "The brighter, the more."


def _ablation(ablation: Ablation) -> str:
    return section(
        "Which mechanism earns its cost",
        paragraphs(
            "Every mechanism is replaced by something that decides nothing, with all other weights "
            "as they were trained, and the cases are segmented again. A network that was trained "
            "without the mechanism could make up for it: this says what the trained one uses."
        ),
        html_table(ablation_table(ablation)),
        f"<details><summary>Dice by case</summary>{html_table(cases_table(ablation))}</details>",
    )


def _facts(ablation: Ablation) -> list[tuple[str, str]]:
    return [
        (str(len(ablation.cases)), "cases evaluated"),
        (f"{ablation.mean:.4f}", "Dice as it is"),
    ]


def _file_name(mechanism: str) -> str:
    """`token pruning` -> `token-pruning.png`."""
    return re.sub(r"[^a-z0-9]+", "-", mechanism.lower()).strip("-") + ".png"
