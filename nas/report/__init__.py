"""A search as a report for people and papers: Markdown, figures, LaTeX, the front's files."""

from nas.report.search_record import Facts, gather
from nas.report.write_report import write_report

__all__ = ["Facts", "gather", "write_report"]
