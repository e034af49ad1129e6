"""What the parts are told, and how they time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import torch
from pydantic import ValidationError

from search_spaces.registry import find_preset

Rows = Iterator[Mapping[str, object]]
"""By column; all rows of a part have the same columns"""
WARM_UP = 5


@dataclass(frozen=True)
class Work:
    """`presets` and `size` stand in place of every part's own, where given."""

    device: torch.device
    presets: Sequence[str] | None
    size: int | None
    seconds: float
    steps: int
    train: Mapping[str, object]
    hippocampus: Path | None

    def cases(
        self, own: Sequence[tuple[str, tuple[int, int, int]]]
    ) -> Iterator[tuple[str, tuple[int, int, int]]]:
        """Presets with a patch each, raised to what the network takes."""
        for name, size in [(name, own[0][1]) for name in self.presets] if self.presets else own:
            asked = (self.size,) * 3 if self.size else size
            strides = find_preset(name).strides()
            depth, height, width = (-(-n // s) * s for n, s in zip(asked, strides, strict=True))
            yield name, (depth, height, width)

    def per_second(self, step: Callable[[], object]) -> float:
        """Calls a second, over `seconds`; what the device has not done yet is waited for."""
        for _ in range(WARM_UP):
            step()
        self.synchronise()
        started, calls = perf_counter(), 0
        while calls == 0 or perf_counter() - started < self.seconds:
            step()
            calls += 1
            if calls % 20 == 0:
                self.synchronise()
        self.synchronise()
        return calls / (perf_counter() - started)

    def synchronise(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def reason(self, error: Exception) -> str:
        """In a row's place, where one network fails; what it held on the device is freed."""
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        told = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        return f"{type(error).__name__}: {told}".splitlines()[0].replace("|", "/")[:200]
