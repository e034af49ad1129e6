"""How many candidates share a GPU."""

from __future__ import annotations

from dataclasses import replace

from nas.analysis.plan.limits import MORE_MEMORY
from nas.analysis.plan.machine import USED, MachineFacts
from nas.analysis.plan.measure import Bench
from nas.analysis.plan.networks import TYPICAL, presets_on, space_on
from nas.analysis.plan.plan_step import StepPlan
from nas.analysis.preview.side_by_side import measure_side_by_side


def share_gpu(machine: MachineFacts, step: StepPlan, bench: Bench) -> tuple[MachineFacts, StepPlan]:
    """As many candidates on a GPU as train most steps a second together, and a step among them.

    Measured with the typical network; no more than there are cores and, for the largest network
    that the limits will allow, memory. Without a GPU, or where nothing trains: as it was.
    """
    if not machine.gpus:
        return machine, step
    [typical] = presets_on([TYPICAL], space_on(step.spacing, step.patch.value))
    fit = int(USED * machine.gpu_memory / (MORE_MEMORY * step.costs["memory"]))
    most = max(1, min(machine.cores // machine.gpus, fit))
    found = measure_side_by_side(typical, bench.workload(step.train), most, bench.progress)
    if not found.rates:
        return machine, step
    machine = replace(machine, gpu_trials=found.best)
    shared = replace(bench, resources=machine.resources)
    _, timing = shared.typical(TYPICAL, typical, step.train)
    return machine, replace(step, timing=timing)
