"""What a search will meet, before it trains anything: costs, budget, knobs, hours."""

from nas.preview.preview import Preview, Request, make_preview
from nas.preview.report import print_report, writable_folder, write_report

__all__ = [
    "Preview",
    "Request",
    "make_preview",
    "print_report",
    "writable_folder",
    "write_report",
]
