"""Where the time of a training step goes on the device."""

from __future__ import annotations

from collections import Counter

import torch
from torch.profiler import ProfilerActivity, profile

from .training import BEFORE, bare_step
from .work import WARM_UP, Rows, Work

CLASSES, STEPS = 3, 3
# The first that is in the name of a kernel, or of an operator on a CPU, says what it is.
KINDS = {
    "norms": ("norm", "moments", "welford"),
    "copies": ("copy", "nchwto", "nhwcto", "catarray"),
    "convolutions": ("conv", "cudnn", "fprop", "wgrad", "dgrad", "implicit"),
    "products": ("gemm", "attention", "flash", "fmha", "matmul", "mm"),
}


def share_rows(work: Work) -> Rows:
    """A row a preset and patch, with what the host takes for the same steps."""
    on_gpu = work.device.type == "cuda"
    activities = [ProfilerActivity.CPU, *[ProfilerActivity.CUDA] * on_gpu]
    for name, patch in work.cases([*BEFORE, ("lightmedseg", (96, 96, 96))]):
        step = bare_step(work, name, patch, CLASSES)
        for _ in range(WARM_UP):
            step()
        work.synchronise()
        with profile(activities=activities) as told:
            for _ in range(STEPS):
                step()
            work.synchronise()
        spent: Counter[str] = Counter()
        for event in told.key_averages():
            of_device = event.device_type == torch.autograd.DeviceType.CUDA
            if of_device == on_gpu:
                us = event.self_device_time_total if on_gpu else event.self_cpu_time_total
                spent[kind_of(event.key)] += us
        whole = max(spent.total(), 1)
        yield {
            "preset": name,
            "patch": "x".join(map(str, patch)),
            "device ms a step": f"{whole / STEPS / 1e3:.2f}",
            **{kind: f"{spent[kind] / whole:.0%}" for kind in (*KINDS, "others")},
        }


def kind_of(kernel: str) -> str:
    """One of KINDS, or `others`."""
    name = kernel.lower()
    told = (kind for kind, words in KINDS.items() if any(word in name for word in words))
    return next(told, "others")
