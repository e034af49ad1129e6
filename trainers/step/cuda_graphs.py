"""Work of a GPU, captured as CUDA graphs."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from typing import ClassVar

import torch


class CudaGraphs:
    """Captures work for one GPU; all graphs of an instance share their memory.

    So they are replayed in the order in which they were captured. Other threads may use the GPU
    while one captures (`capture_error_mode="thread_local"`).

    `failed`: whether CUDA refused to end a capture of this process. It leaves torch's allocator in
    the middle of it (so says `CUDAGraph::reset` in torch's source): another must not be tried.
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

        The work is not done now. Raises what the work raises, or torch at the capture's end.
        """
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
            CudaGraphs.failed = error is not of_work
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

    def check(self) -> None:
        """Wait for the GPU, and raise a RuntimeError where it does not compute any more."""
        torch.cuda.synchronize(self._device)
        torch.rand(1, device=self._device)  # a capture that broke off may keep the generator
        torch.cuda.synchronize(self._device)

    def scarce(self) -> bool:
        """Whether less memory is free than this process holds."""
        free, _ = torch.cuda.mem_get_info(self._device)
        return free < torch.cuda.memory_reserved(self._device)
