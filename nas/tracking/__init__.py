"""MLflow: one parent run a search, one nested run a trial. Used by the driver process only.

MLflow is imported, and a new sqlite store made, when a search opens its tracker (5 to 10 s on two
cores); after that a report takes some 10 to 30 ms, most of it the disk (two commits).
"""

from nas.tracking.search import Search
from nas.tracking.sync_report import SyncReport
from nas.tracking.tracked_runs import TrackedRuns
from nas.tracking.tracker import Tracker

__all__ = ["Search", "SyncReport", "TrackedRuns", "Tracker"]
