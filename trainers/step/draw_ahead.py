"""Batches that threads prepare while the GPU works on those before."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import islice
from typing import TypeVar

import torch

from trainers.step.eager import Batch

MOST_THREADS = 8

Drawn = TypeVar("Drawn")
Batches = Generator[Batch, None, None]


def draw_batches(
    draw: Callable[[], Drawn], read: Callable[[Drawn], Batch], count: int, device: torch.device
) -> Batches:
    """`count` batches: what each will be is drawn by `draw`, one after the other, and then `read`.

    For CUDA threads read ahead, into pinned memory: as many as PyTorch may use here, at most
    `MOST_THREADS`, each of which computes on one core. On a CPU they would only take turns with the
    training, so that there are none.
    """
    if device.type == "cuda":
        index = torch.cuda.current_device() if device.index is None else device.index
        threads = min(torch.get_num_threads(), MOST_THREADS)
        return drawn_ahead(draw, partial(_pinned, read), count, threads, partial(_begin, index))
    return (read(draw()) for _ in range(count))


def drawn_ahead(
    draw: Callable[[], Drawn],
    read: Callable[[Drawn], Batch],
    count: int,
    threads: int,
    begin: Callable[[], object] | None = None,
) -> Batches:
    """`count` batches, in the order in which one thread draws them; `threads` others read them.

    At most `1 + threads` are ready or begun before they are taken. No more than `count` are drawn,
    and when the iterator is exhausted or closed the threads have ended: a sampler is then where it
    would be without them. What `draw` or `read` raises is raised here. `begin`: what every thread
    that reads does first.
    """
    drawing = ThreadPoolExecutor(1, "draw")
    reading = ThreadPoolExecutor(threads, "read", begin)

    def submit(_: int) -> Future[Batch]:
        drawn = drawing.submit(draw)
        return reading.submit(lambda: read(drawn.result()))

    submitted = map(submit, range(count))
    try:
        waiting = deque(islice(submitted, 1 + threads))
        while waiting:
            batch = waiting.popleft().result()
            waiting.extend(islice(submitted, 1))
            yield batch
    finally:
        for pool in (drawing, reading):
            pool.shutdown(cancel_futures=True)


def _begin(index: int) -> None:
    """A thread of its own for one core and this GPU."""
    torch.set_num_threads(1)
    torch.cuda.set_device(index)


def _pinned(read: Callable[[Drawn], Batch], drawn: Drawn) -> Batch:
    images, labels = read(drawn)
    return images.pin_memory(), labels.pin_memory()
