"""Single passes by backend and precision."""

from __future__ import annotations

import torch
from pydantic import ValidationError

from nas.cost.latency import LatencyConfig, LatencyError
from nas.cost.latency.measure import measure_latency
from search_spaces.registry import find_preset
from trainers.errors import UserError

from .work import Rows, Work

# Channels and classes of the papers' tasks; milliseconds on one H200 on 28 November 2026, bf16.
TASKS = {
    "lightmedseg": (4, 4, (128, 128, 128), 17.3),
    "unetr-p8": (4, 3, (128, 128, 128), 46.5),
    "stp-mta-unetr-r75": (4, 3, (128, 128, 128), 52.6),
    "unetr-p8-btcv": (1, 14, (96, 96, 96), 23.7),
    "stp-mta-unetr-r90-btcv": (1, 14, (96, 96, 96), 31.3),
    "hybrid-s": (1, 3, (40, 56, 40), None),
}
PLAIN = (1, 3, (40, 56, 40), None)


def latency_rows(work: Work) -> Rows:
    """A row a preset, backend and precision."""
    for name, patch in work.cases([(name, task[2]) for name, task in TASKS.items()]):
        channels, classes, _, before = TASKS.get(name, PLAIN)
        torch.manual_seed(0)
        network = find_preset(name).build(channels, classes)
        for backend in ("eager", "graph"):
            for precision in ("fp32", "bf16"):
                row = {
                    "preset": name,
                    "input": "x".join(map(str, (channels, *patch))),
                    "backend": backend,
                    "precision": precision,
                }
                told = {"backend": backend, "precision": precision, "device": str(work.device)}
                try:
                    config = LatencyConfig.model_validate(
                        {**told, "patch": patch, "seconds": work.seconds}
                    )
                    found = measure_latency(network, channels, config, work.device)
                except (ValidationError, LatencyError, UserError, torch.OutOfMemoryError) as error:
                    yield {**row, "p50 ms": work.reason(error)}
                    continue
                yield {
                    **row,
                    "p50 ms": f"{found.p50_ms:.2f}",
                    "p90 ms": f"{found.p90_ms:.2f}",
                    "noise": f"{found.noise:.1%}",
                    "one H200 before, eager, bf16": before or "-",
                }
