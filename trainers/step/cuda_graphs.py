"""Work of a GPU, captured as CUDA graphs."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, suppress
from typing import ClassVar

import torch

WARM_UP = 3  # times that work is done before its capture: as torch.cuda.make_graphed_callables has


class CudaGraphs:
    """Captures work for one GPU; all graphs of an instance share their memory.

    So they are replayed in the order in which they were captured. Other threads may use the GPU
    while one captures (`capture_error_mode="thread_local"`).

    `failed`: whether CUDA refused to end a capture of this process. It leaves torch's allocators in
    the middle of it (so says `CUDAGraph::reset` in torch's source): another is refused.
    """

    failed: ClassVar[bool] = False

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device)
        self._pool = torch.cuda.graph_pool_handle()
        self._copied = torch.cuda.Event()

    def warm_up(self) -> AbstractContextManager[object]:
        """A block whose work is done on the stream of the captures, eagerly.

        What torch and cuDNN make at the first call for a stream is there before it is captured.
        """
        outside = torch.cuda.current_stream(self._device)
        stack = ExitStack()
        self._stream.wait_stream(outside)
        stack.callback(outside.wait_stream, self._stream)
        stack.enter_context(torch.cuda.stream(self._stream))
        return stack

    def capture(self, work: Callable[[], object]) -> Callable[[], None]:
        """A function that does the work again, on the same tensors.

        The work is not done now. Raises what the work raises, or torch at the capture's end, and
        RuntimeError where one has `failed`.
        """
        if CudaGraphs.failed:
            raise RuntimeError("a capture of this process failed before")
        graph, outside = torch.cuda.CUDAGraph(), torch.cuda.current_stream(self._device)
        of_work: Exception | None = None
        try:
            with (
                torch.cuda.stream(outside),  # torch.cuda.graph does not go back to it on an error
                torch.cuda.graph(
                    graph, self._pool, self._stream, capture_error_mode="thread_local"
                ),
            ):
                try:
                    work()
                except Exception as error:
                    of_work = error
                    raise
        except Exception as error:
            if error is not of_work:
                CudaGraphs.failed = True
                self._end_allocation()
            raise of_work or error from None
        finally:
            del of_work  # which otherwise, by way of its frames, would keep itself
        replay: Callable[[], None] = graph.replay
        return replay

    def copy(self, pairs: list[tuple[torch.Tensor, torch.Tensor]]) -> None:
        """Copy from each pair's second tensor, pinned on the host, to the first one.

        It waits for the copies of the call before, so that the host is one step ahead of the GPU
        and not an epoch, with all its pinned batches.
        """
        self._copied.synchronize()
        for target, source in pairs:
            target.copy_(source, non_blocking=True)
        self._copied.record(torch.cuda.current_stream(self._device))

    def _end_allocation(self) -> None:
        """What `CUDAGraph::capture_end` leaves out where CUDA gives an error (torch 2.13): else
        memory that runs out, or `empty_cache`, ends in a failed assertion of torch's."""
        pool = self._stream.device_index, self._pool
        with suppress(RuntimeError):  # it was not left out; and `check` has the last word
            torch._C._cuda_endAllocateToPool(*pool)
            torch._C._cuda_releasePool(*pool)

    def check(self) -> None:
        """Wait for the GPU. Raises RuntimeError where it does not compute any more, and where a
        capture that broke off keeps torch's allocator or random numbers."""
        torch.cuda.synchronize(self._device)
        torch.cuda.empty_cache()
        torch.rand(1, device=self._device)
        torch.cuda.synchronize(self._device)

    def scarce(self) -> bool:
        """Whether less memory is free than this process holds."""
        free, _ = torch.cuda.mem_get_info(self._device)
        return free < torch.cuda.memory_reserved(self._device)
