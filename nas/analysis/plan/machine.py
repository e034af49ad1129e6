"""What a plan knows of the machine."""

from __future__ import annotations

from dataclasses import dataclass

from nas.config.resources import Resources
from nas.engine.slots import this_machine
from nas.pareto.objectives import short_number
from trainers.volumes.memory import total_memory

SHARED_GPU = 16 * 2**30  # bytes of a GPU from which on two trials share it
USED = 0.7  # share of the memory that trials may plan with


@dataclass(frozen=True)
class MachineFacts:
    """Cores that this process may use; bytes of memory; GPUs and the bytes of the smallest;
    how many trials share a GPU, where that was measured."""

    cores: int
    memory: int
    gpus: int = 0
    gpu_memory: int = 0
    gpu_trials: int | None = None

    @property
    def resources(self) -> Resources:
        """Of a trial: one core, since steps on two are slower where cores are shared; and a GPU or
        a share of one, where there are any. Networks of this size do not fill a large GPU: until it
        is measured, two share it."""
        if not self.gpus:
            return Resources()
        if self.gpu_trials:
            return Resources(gpus=1 / self.gpu_trials)
        shared = self.gpu_memory >= SHARED_GPU and self.cores >= 2 * self.gpus
        return Resources(gpus=0.5 if shared else 1)

    @property
    def trial_memory(self) -> float:
        """Bytes that a trial may take of what it trains on."""
        if self.gpus:
            return USED * self.gpu_memory * min(self.resources.gpus, 1)
        return USED * self.memory / self.cores

    def __str__(self) -> str:
        cores = f"{self.cores} core{'s' if self.cores > 1 else ''}"
        told = f"{cores}, {short_number(self.memory, 'B', 1024)} of memory"
        if not self.gpus:
            return f"{told}, no GPU"
        return f"{told}, {self.gpus} GPU of {short_number(self.gpu_memory, 'B', 1024)}"


def look_at_machine() -> MachineFacts:
    """This machine, as PyTorch sees it."""
    import torch

    offers = this_machine().resources
    gpus = int(offers["GPU"])
    memories = [torch.cuda.get_device_properties(i).total_memory for i in range(gpus)]
    return MachineFacts(int(offers["CPU"]), total_memory(), gpus, min(memories, default=0))
