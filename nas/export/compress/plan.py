"""What is made smaller, and how."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Literal

from torch import nn

from nas.export.export_folder import Export
from search_spaces.blocks.prunable import prunable
from search_spaces.space import Architecture

Method = Literal["prune", "low-rank", "distil", "quantise-aware"]
USUAL = {"prune": ("heads", "neurons"), "low-rank": ("linear",)}
KINDS = ("heads", "neurons", "channels", "linear", "convolutions")
WITHOUT = {"prune": ("channels",)}  # of networks that have none of the usual


@dataclass(frozen=True, kw_only=True)
class Compression:
    """What is made smaller, and how it is trained then.

    `keep`: the share that is left, of every block's units, or of every map's weights. `of`: which
    units or maps, by default those of `USUAL`, and of a network that has none those of `WITHOUT`.
    `student`: of `distil`, which is trained from new weights. `steps`: of training; None for 300,
    of `distil` for the whole schedule. `settings`: of that training, as `key=value`. `patches`: of
    training cases, from which is told what matters. `threads`: of the CPU, for latencies.
    """

    method: Method
    keep: float = 0.5
    of: tuple[str, ...] = ()
    student: Architecture | None = None
    steps: int | None = None
    settings: tuple[str, ...] = ()
    patches: int = 32
    threads: int = 1

    def parts(self, network: nn.Module) -> tuple[str, ...]:
        """What it reduces of that network."""
        usual = USUAL.get(self.method, ())
        if self.of or self.method not in WITHOUT:
            return self.of or usual
        there = {each.kind for each in prunable(network).values()}
        return usual if there & {*usual} else WITHOUT[self.method]

    def asked(self, export: Export) -> dict[str, Any]:
        """What decides the weights that it makes of that export."""
        return {
            "original": export.fingerprint,
            "schedule": hashlib.sha256(export.config.train.model_dump_json().encode()).hexdigest(),
            "method": self.method,
            "keep": self.keep,
            "parts": list(self.of),
            "student": self.student and self.student.key,
            "steps": self.steps,
            "settings": list(self.settings),
            "patches": self.patches,
        }
