import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
import torch

from trainers.data.patches import PatchSampler
from trainers.step.draw_ahead import AHEAD, draw_batches, drawn_ahead


def threads():
    return [t for t in threading.enumerate() if t.name.startswith("drawing")]


def ahead(draw, count):
    return closing(drawn_ahead(draw, count, ThreadPoolExecutor(1, "drawing")))


def test_the_thread_draws_the_same_batches_and_leaves_the_same_state(phantom):
    cache, cases = phantom
    plain, drawn = (
        PatchSampler(cache, cases.train, (16, 16, 16), 2, noise=0.1, flips=(0,), seed=3)
        for _ in range(2)
    )
    for count in (1, AHEAD, 5):  # epochs
        with ahead(drawn.batch, count) as batches:
            taken = list(batches)
        assert len(taken) == count
        for batch in taken:
            assert all(map(torch.equal, batch, plain.batch()))
        assert drawn.state() == plain.state()


def test_no_more_is_drawn_than_may_lie_ready():
    drawn, go_on = [], threading.Semaphore(0)

    def draw():
        go_on.acquire()
        drawn.append(len(drawn))
        return drawn[-1]

    with ahead(draw, 10) as batches:
        go_on.release(10)
        assert next(batches) == 0
        while len(drawn) < 1 + AHEAD:
            threading.Event().wait(0.01)
        threading.Event().wait(0.05)
        assert len(drawn) == 1 + AHEAD


def test_what_is_wrong_with_a_batch_is_raised_where_it_is_taken():
    numbers = iter([1, 2])

    def draw():
        if (number := next(numbers, None)) is None:
            raise OSError("the disk is gone")
        return number

    with ahead(draw, 5) as batches:
        assert [next(batches), next(batches)] == [1, 2]
        with pytest.raises(OSError, match="the disk is gone"):
            next(batches)
    assert threads() == []


def test_the_thread_ends_with_an_epoch_that_is_broken_off():
    with pytest.raises(ZeroDivisionError), ahead(lambda: 1, 100) as batches:
        for _ in batches:
            assert len(threads()) == 1
            1 / 0  # noqa: B018
    assert threads() == []


def test_a_cpu_draws_without_a_thread():
    with closing(draw_batches(threading.current_thread, 2, torch.device("cpu"))) as batches:
        assert list(batches) == [threading.main_thread()] * 2
