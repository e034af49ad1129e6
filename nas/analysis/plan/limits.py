"""What candidates may cost, so that none takes an hour where others take minutes."""

from __future__ import annotations

from dataclasses import dataclass

from nas.analysis.plan.choice import Choice, coarse
from nas.analysis.plan.machine import MachineFacts
from nas.pareto.budget import Budget
from nas.pareto.objectives import short_number

PARAMS = 2.0e6
MORE_WORK, MORE_MEMORY = 2.5, 3.0  # times those of the typical network
MIB = 2**20


@dataclass(frozen=True)
class Limits:
    """Those of `budget`."""

    params: Choice[float]
    macs: Choice[float]
    memory: Choice[str]

    @property
    def budget(self) -> Budget:
        """The limits alone."""
        limits = {"params": self.params.value, "macs": self.macs.value, "memory": self.memory.value}
        return Budget.model_validate(limits)


def choose_limits(name: str, macs: float, memory: float, machine: MachineFacts) -> Limits:
    """From the costs of a typical network, `name`, on the patch: time grows with MACs, and where
    maps are large with the memory that they take."""
    most = min(MORE_MEMORY * memory, machine.trial_memory)
    why = (
        f"{MORE_MEMORY:g} times what {name} takes"
        if most < machine.trial_memory
        else f"the share of a trial in the memory of this machine ({machine})"
    )
    return Limits(
        Choice(PARAMS, "light networks; a U-Net of nnU-Net has some 30 million"),
        Choice(
            coarse(MORE_WORK * macs),
            f"about {MORE_WORK:g} times those of {name} on this patch ({short_number(macs)}): no "
            "candidate takes much longer than others",
        ),
        Choice(f"{max(coarse(most / MIB), 1):.0f}MiB", f"at the peak of a training step: {why}"),
    )
