"""Which parts of a trained network change little (SlimFormer-3D, Sec. 2.3), and gates that drop
them."""

from nas.analysis.redundancy.redundancy_report import redundancy_report
from nas.analysis.redundancy.table import redundancy_table
from nas.analysis.redundancy.write_redundancy import write_report

__all__ = [
    "redundancy_report",
    "redundancy_table",
    "write_report",
]
