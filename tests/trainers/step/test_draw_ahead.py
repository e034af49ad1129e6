import threading
import time
from contextlib import closing
from itertools import count as numbers_from

import pytest
import torch

from trainers.augment.presets import NNUNET
from trainers.data.patches import PatchSampler
from trainers.step.draw_ahead import draw_batches, drawn_ahead

THREADS = 3


def threads():
    return [t for t in threading.enumerate() if t.name.startswith(("draw", "read"))]


def same(drawn):
    return drawn


def ahead(draw, count, read=same, threads=THREADS, begin=None):
    return closing(drawn_ahead(draw, read, count, threads, begin))


def numbers():
    """Draws 0, 1, 2, ..."""
    return numbers_from().__next__


@pytest.mark.parametrize("count_of_threads", [1, 3])
def test_threads_prepare_the_same_batches_and_leave_the_same_state(phantom, count_of_threads):
    cache, cases = phantom
    plain, drawn = (
        PatchSampler(
            cache, cases.train, (16, 16, 16), 2, noise=0.1, flips=(0,), preset=NNUNET, seed=3
        )
        for _ in range(2)
    )
    for count in (1, 2, 9):  # epochs
        with ahead(drawn.draw, count, drawn.read, count_of_threads) as batches:
            taken = list(batches)
        assert len(taken) == count
        for batch in taken:
            assert all(map(torch.equal, batch, plain.batch()))
        assert drawn.state() == plain.state()


def test_the_order_is_that_of_drawing_whoever_is_quicker():
    def read(number):
        time.sleep(0.02 * (number % THREADS == 0))
        return number

    with ahead(numbers(), 20, read) as batches:
        assert list(batches) == list(range(20))


def test_threads_read_at_the_same_time():
    met = threading.Barrier(THREADS, timeout=20)

    def read(number):
        met.wait()
        return number

    with ahead(numbers(), 2 * THREADS, read) as batches:
        assert list(batches) == list(range(2 * THREADS))


def test_no_more_is_drawn_than_may_lie_ready():
    drawn, go_on = [], threading.Semaphore(0)

    def draw():
        go_on.acquire()
        drawn.append(len(drawn))
        return drawn[-1]

    with ahead(draw, 12) as batches:
        go_on.release(12)
        assert next(batches) == 0
        while len(drawn) < 2 + THREADS:
            threading.Event().wait(0.01)
        threading.Event().wait(0.05)
        assert len(drawn) == 2 + THREADS


def failing():
    """Draws 1, 2, and then nothing."""
    draws = iter([1, 2])

    def draw():
        if (number := next(draws, None)) is None:
            raise OSError("the disk is gone")
        return number

    return draw


@pytest.mark.parametrize("part", ["draw", "read"])
def test_what_is_wrong_with_a_batch_is_raised_where_it_is_taken(part):
    draw = failing()
    makers = (draw, same) if part == "draw" else (lambda: None, lambda _: draw())
    with ahead(makers[0], 5, makers[1], threads=1) as batches:
        assert [next(batches), next(batches)] == [1, 2]
        with pytest.raises(OSError, match="the disk is gone"):
            next(batches)
    assert threads() == []


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
def test_the_threads_end_with_an_epoch_that_is_broken_off(error):
    with pytest.raises(error), ahead(numbers(), 100) as batches:
        for _ in batches:
            assert 1 <= len(threads()) <= 1 + THREADS
            raise error
    assert threads() == []


def test_a_thread_that_reads_has_pytorch_to_itself():
    """Its own number of threads, and none of the loop's changes."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        found = ahead(numbers(), 4, lambda _: torch.get_num_threads(), begin=one_thread)
        with found as batches:
            assert list(batches) == [1] * 4
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def one_thread():
    torch.set_num_threads(1)


def test_a_cpu_prepares_batches_without_a_thread():
    def read(drawn):
        return drawn, threading.current_thread()

    with closing(draw_batches(threading.current_thread, read, 2, torch.device("cpu"))) as batches:
        assert list(batches) == [(threading.main_thread(),) * 2] * 2
