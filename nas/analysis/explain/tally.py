"""What was shown, as numbers over windows and cases."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch.nn.functional import adaptive_avg_pool3d

from nas.analysis.explain.probe import Item, Values


@dataclass(frozen=True)
class Share:
    """A value's mean and standard deviation over all windows, and its mean on the structures.

    Of a share, such as that of the tokens that were kept, `mean` is the rate. `inside`: None where
    no window has a structure.
    """

    item: Item
    name: str
    mean: float
    deviation: float
    inside: float | None


@dataclass(frozen=True)
class Moved:
    """How far each of `points` moves from case to case: the standard deviation over cases, in
    voxels of a window, the mean over points and axes. None of a single case."""

    item: Item
    points: int
    deviation: float | None


@dataclass
class _Sums:
    count: float = 0.0
    total: float = 0.0
    squares: float = 0.0
    weight: float = 0.0  # how much of the cells is structure
    inside: float = 0.0


@dataclass
class Tally:
    """Sums over windows. Every window counts alike, with what it has of padding."""

    _sums: dict[tuple[Item, str], _Sums] = field(default_factory=lambda: defaultdict(_Sums))
    _points: dict[Item, dict[str, list[np.ndarray]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )

    def add(self, case: str, shown: Mapping[Item, Values], structure: np.ndarray) -> None:
        """Add a window. shown: as `Probe.take_placed` gives it; structure: bool (D, H, W)."""
        mask = torch.from_numpy(structure.astype(np.float32))[None]
        for item, values in shown.items():
            if isinstance(values, torch.Tensor):
                self._points[item][case].append(values.double().cpu().numpy())
                continue
            for name, cells in values.items():
                cells = cells.double().cpu()
                d, h, w = cells.shape
                share = adaptive_avg_pool3d(mask, (d, h, w))[0].double()
                sums = self._sums[item, name]
                sums.count += cells.numel()
                sums.total += float(cells.sum())
                sums.squares += float(cells.square().sum())
                sums.weight += float(share.sum())
                sums.inside += float((cells * share).sum())

    def shares(self) -> Iterator[Share]:
        """In the order in which they were first shown."""
        for (item, name), sums in self._sums.items():
            mean = sums.total / sums.count
            variance = max(sums.squares / sums.count - mean**2, 0.0)
            inside = sums.inside / sums.weight if sums.weight else None
            yield Share(item, name, mean, math.sqrt(variance), inside)

    def moved(self) -> Iterator[Moved]:
        """Of every item that has points."""
        for item, cases in self._points.items():
            means = np.stack([np.mean(p, axis=0) for p in cases.values()])  # (cases, K, 3)
            deviation = float(means.std(axis=0, ddof=1).mean()) if len(means) > 1 else None
            yield Moved(item, means.shape[1], deviation)
