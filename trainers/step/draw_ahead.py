"""Batches that a thread draws while the GPU works on those before."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import torch

from trainers.step.eager import Batch

AHEAD = 2  # batches

Batches = Generator[Batch, None, None]


def draw_batches(draw: Callable[[], Batch], count: int, device: torch.device) -> Batches:
    """`count` batches of `draw`: for CUDA drawn ahead, into pinned memory, by a thread.

    The thread draws no more than `count` and has ended when the iterator is exhausted or closed, so
    that a sampler is then where it would be without it. What `draw` raises is raised here.
    On a CPU the thread would only take turns with the training.
    """
    if device.type == "cuda":
        index = torch.cuda.current_device() if device.index is None else device.index
        pool = ThreadPoolExecutor(1, "draw", torch.cuda.set_device, (index,))
        return drawn_ahead(lambda: _pinned(draw()), count, pool)
    return (draw() for _ in range(count))


def drawn_ahead(draw: Callable[[], Batch], count: int, pool: ThreadPoolExecutor) -> Batches:
    """`count` batches, drawn by the pool's one thread, `AHEAD` at most before they are taken.

    The pool is shut down at the end.
    """
    drawing = (pool.submit(draw) for _ in range(count))
    try:
        waiting = deque(islice(drawing, AHEAD))
        while waiting:
            batch = waiting.popleft().result()
            waiting.extend(islice(drawing, 1))
            yield batch
    finally:
        pool.shutdown(cancel_futures=True)


def _pinned(batch: Batch) -> Batch:
    images, labels = batch
    return images.pin_memory(), labels.pin_memory()
