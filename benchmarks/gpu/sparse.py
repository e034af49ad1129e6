"""STP + MTA beside UNETR, as in its paper and as it comes."""

from __future__ import annotations

import torch
from stp_speedup import TASKS, Timing, compare

from .work import Rows, Work

COLUMNS = ("task", "what", "UNETR, volumes/s", "STP + MTA", "gain", "the paper's")


def sparse_rows(work: Work) -> Rows:
    """Both tasks in fp32 without TF32, the paper's case, and in bf16."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    for precision in ("fp32", "bf16"):
        timing = Timing(work.device, precision, work.seconds, batch=2)
        for task in TASKS:
            for row in compare(task, work.size or task.size, timing):
                yield {"precision": precision, **dict(zip(COLUMNS, row, strict=True))}
