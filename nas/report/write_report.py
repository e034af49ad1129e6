"""The files of a report."""

from __future__ import annotations

from pathlib import Path

from nas.config.run_config import RunConfig
from nas.report.markdown import report_text
from nas.report.plots import figures, image
from nas.report.search_record import SearchRecord
from nas.report.tables import latex_table
from nas.report.write_front import write_front
from trainers.atomic import replace_files
from trainers.errors import UserError


def write_report(config: RunConfig, record: SearchRecord, to: Path) -> list[Path]:
    """Write report.md, the front's files and table, and each figure as PNG and PDF into `to`.

    Files of these names are replaced, each whole; others stay. Returns the paths. Raises UserError
    where they cannot be written.
    """
    drawn = figures(record, config.train.validate_every)
    files = {"report.md": report_text(config, record, list(drawn)).encode()}
    if record.members:
        files["front.tex"] = latex_table(record).encode()
    for name, figure in drawn.items():
        files |= {f"{name}.{form}": image(figure, form) for form in ("png", "pdf")}
    try:
        to.mkdir(parents=True, exist_ok=True)
        write_front(to, record, record.importances)
        replace_files({to / name: content for name, content in files.items()})
    except OSError as error:
        raise UserError(f"{to} cannot be written: {error.strerror or error}") from error
    return [to / name for name in ("report.md", "front.html", "front.csv", "front.json")] + [
        to / name for name in files if name != "report.md"
    ]
