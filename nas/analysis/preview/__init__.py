"""What a search will meet, before it trains anything: costs, budget, knobs, hours."""

from nas.analysis.preview.make_preview import Preview, Request, make_preview
from nas.analysis.preview.write_preview import print_preview, writable_folder, write_preview

__all__ = [
    "Preview",
    "Request",
    "make_preview",
    "print_preview",
    "writable_folder",
    "write_preview",
]
