"""Which parts of a trained network change little (SlimFormer-3D, Sec. 2.3), and gates that drop
them."""

from nas.analysis.redundancy.analysis import Redundancy, analyse
from nas.analysis.redundancy.redundancy_report import Report, redundancy_report
from nas.analysis.redundancy.table import redundancy_table
from nas.analysis.redundancy.write_redundancy import write_report

__all__ = [
    "Redundancy",
    "Report",
    "analyse",
    "redundancy_report",
    "redundancy_table",
    "write_report",
]
