"""What a search will meet, before it trains anything: costs, budget, knobs, hours."""

from nas.analysis.preview.make_preview import Request, make_preview
from nas.analysis.preview.write_preview import HTML, preview_parts, write_preview

__all__ = [
    "HTML",
    "Request",
    "make_preview",
    "preview_parts",
    "write_preview",
]
