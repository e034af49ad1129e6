"""What a search will meet, before it trains anything: costs, budget, knobs, hours."""

from nas.analysis.preview.make_preview import Preview, Request, make_preview
from nas.analysis.preview.write_preview import HTML, preview_parts, writable_folder, write_preview

__all__ = [
    "HTML",
    "Preview",
    "Request",
    "make_preview",
    "preview_parts",
    "writable_folder",
    "write_preview",
]
