"""From which step on networks halve each axis."""

from __future__ import annotations

import math
from collections.abc import Sequence


def first_halvings(spacing: Sequence[float]) -> list[int]:
    """An axis waits until its voxels are at most twice as long as the finest ones, mm."""
    ratios = [size / min(spacing) for size in spacing]
    return [max(0, math.ceil(math.log2(ratio) - 1e-6) - 1) for ratio in ratios]
