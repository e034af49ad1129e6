"""What the trained networks of a search are measured by: their weights, and real windows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from nas.config.run_config import RunConfig
from nas.cost.latency_probe import Trained
from nas.pareto.result import Result
from nas.study.search_folder import checkpoint_in
from trainers.data.cache import VolumeCache
from trainers.volumes.windows import window_at

WINDOWS = 8  # of a pass, where how much is computed differs by window
GOLDEN = (5**0.5 - 1) / 2  # its multiples lie evenly in [0, 1), however many there are


@dataclass(frozen=True)
class TrainedNetworks:
    """`directory`: of the search that trained them. `windows`: see `Trained`; `window`: the first
    of them alone."""

    directory: Path
    windows: Path
    window: Path

    def of(self, results: Sequence[Result]) -> Trained:
        """What these are measured by; a network whose weights are gone, by drawn ones.

        A pass is one window where the input decides nothing in any of them.
        """
        files = [checkpoint_in(self.directory, result.name) for result in results]
        decides = any(result.macs_bounds for result in results)
        windows = self.windows if decides else self.window
        return Trained([file if file.is_file() else None for file in files], windows)


@contextmanager
def trained_networks(
    directory: Path, config: RunConfig, cache: VolumeCache, names: Sequence[str]
) -> Iterator[TrainedNetworks]:
    """Those of the search in `directory`, and windows of its validation cases `names`."""
    with TemporaryDirectory() as folder:
        all_file, first_file = Path(folder, "windows.npy"), Path(folder, "window.npy")
        patch = config.latency.patch or config.train.patch
        count = WINDOWS * config.latency.batch
        windows = spread_windows(cache, names, patch, config.train.overlap, count)
        passes = windows.reshape(WINDOWS, config.latency.batch, *windows.shape[1:])
        np.save(all_file, passes)
        np.save(first_file, passes[:1])
        yield TrainedNetworks(directory, all_file, first_file)


def spread_windows(
    cache: VolumeCache, names: Sequence[str], patch: Sequence[int], overlap: float, count: int
) -> np.ndarray:
    """(count, C, D, H, W) float32: windows of the cases, spread over and within them."""
    windows = [
        window_at(cache.image(names[i * len(names) // count]), patch, overlap, i * GOLDEN % 1)
        for i in range(count)
    ]
    return np.stack(windows)
