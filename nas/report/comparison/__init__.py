"""Several searches on the same data beside each other, as a table and as a page."""

from nas.report.comparison.compare import Comparison, compare
from nas.report.comparison.page import comparison_page
from nas.report.comparison.tables import comparison_tables

__all__ = ["Comparison", "compare", "comparison_page", "comparison_tables"]
