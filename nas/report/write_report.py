"""The files of a report."""

from __future__ import annotations

from pathlib import Path

from nas.report.findings import Findings
from nas.report.markdown import report_text
from nas.report.plots import figures, image
from nas.report.search_record import Facts
from nas.report.tables import latex_table
from nas.report.write_front import write_front
from trainers.atomic import replace_files
from trainers.errors import UserError


def write_report(facts: Facts, to: Path) -> list[Path]:
    """Write report.md, the front's files and table, and each figure as PNG and PDF into `to`.

    Files of these names are replaced, each whole; others stay. Returns the paths. Raises UserError
    where they cannot be written.
    """
    drawn = figures(facts)
    files = {"report.md": report_text(facts, list(drawn)).encode()}
    if facts.members:
        files["front.tex"] = latex_table(facts).encode()
    for name, figure in drawn.items():
        files |= {f"{name}.{form}": image(figure, form) for form in ("png", "pdf")}
    config = facts.config
    found = Findings(
        facts.results,
        config.objectives,
        config.name,
        facts.classes,
        config.space.space(),
        facts.starts,
        facts.importances,
    )
    try:
        to.mkdir(parents=True, exist_ok=True)
        write_front(to, found)
        replace_files({to / name: content for name, content in files.items()})
    except OSError as error:
        raise UserError(f"{to} cannot be written: {error.strerror or error}") from error
    return [to / name for name in ("report.md", "front.html", "front.csv", "front.json")] + [
        to / name for name in files if name != "report.md"
    ]
