"""The files of a report."""

from __future__ import annotations

from pathlib import Path

from nas.config.run_config import RunConfig
from nas.report.markdown import report_text
from nas.report.plots import figures, image
from nas.report.search_record import SearchRecord
from nas.report.tables import latex_table
from nas.report.write_front import front_contents
from trainers.atomic import write_folder
from trainers.errors import UserError


def write_report(config: RunConfig, record: SearchRecord, to: Path) -> list[Path]:
    """Write report.md, the front's files and table, and each figure as PNG and PDF into `to`.

    Files of these names are replaced, all or none; others stay. Returns the paths. Raises UserError
    where they cannot be written.
    """
    drawn = figures(record, config.train.validate_every)
    files = {
        "report.md": report_text(config, record, list(drawn)).encode(),
        **front_contents(record, record.importances, in_folder=False),
    }
    if record.members:
        files["front.tex"] = latex_table(record).encode()
    for name, figure in drawn.items():
        files |= {f"{name}.{form}": image(figure, form) for form in ("png", "pdf")}
    try:
        write_folder(to, files)
    except OSError as error:
        raise UserError(f"{to} cannot be written: {error.strerror or error}") from error
    return [to / name for name in files]
