"""What one training step is: patch, batch, and how long it takes."""

from __future__ import annotations

import math
from dataclasses import dataclass

from nas.analysis.plan.batch import LEAST, choose_batch
from nas.analysis.plan.choice import Choice, coarse
from nas.analysis.plan.data_survey import DataSurvey
from nas.analysis.plan.deadline import Deadline, step_seconds
from nas.analysis.plan.limits import MORE_MEMORY
from nas.analysis.plan.machine import MachineFacts
from nas.analysis.plan.measure import Bench
from nas.analysis.plan.networks import TYPICAL, presets_on, space_on
from nas.analysis.plan.patch import Size, choose_patch
from nas.analysis.plan.schedule import CANDIDATES
from nas.analysis.preview.survey import Costs
from nas.analysis.preview.time_candidates import Timing, count_windows
from nas.engine.slots import count_slots
from trainers.config import LossConfig, TrainConfig
from trainers.data.build_cache import prepared_voxel_size
from trainers.data.config import Preprocess

PROBE = 64**3  # voxels of the patch on which the typical network is timed first
SPARED = CANDIDATES[0] / CANDIDATES[1]  # times slower steps that leave time for enough candidates
AT_ONCE = 2  # times slower a step may be where its patches are whole volumes
ROUNDS = 2  # of patches: seconds are not quite proportional to voxels
NEAR = 1.5  # times faster or slower than allowed, for which there is no second round
FEW_STEPS = "with larger ones there are too few steps within the hours"
NO_ROOM = "larger ones do not fit the memory"


@dataclass(frozen=True)
class StepPlan:
    """`spacing`: of prepared voxels, mm. `costs` and `timing`: of the typical network on the patch.
    `windows`: of one case in the middle."""

    spacing: tuple[float, float, float]
    patch: Choice[Size]
    batch: Choice[int]
    costs: Costs
    timing: Timing
    windows: int

    @property
    def train(self) -> TrainConfig:
        """As far as it is known."""
        return _recipe(self.patch.value, self.batch.value)


def plan_step(
    survey: DataSurvey,
    preprocess: Preprocess,
    bench: Bench,
    machine: MachineFacts,
    deadline: Deadline,
) -> StepPlan:
    """Time the typical network on a moderate patch, choose the patch by that, time it again."""
    shape, spacing = bench.sample.shape, prepared_voxel_size(survey.source, preprocess)
    allowed = step_seconds(deadline, machine, count_slots(machine.resources))
    tried = choose_patch(shape, spacing, PROBE, "").value
    costs, timing = _typical(bench, spacing, tried, LEAST)
    for _ in range(ROUNDS):
        by_time = voxels_within(allowed, timing.step / math.prod(tried))
        by_memory = machine.trial_memory * math.prod(tried) / (MORE_MEMORY * costs["memory"])
        limit = FEW_STEPS if by_time < by_memory else f"{NO_ROOM} ({machine})"
        voxels, whole = (coarse(min(time, by_memory)) for time in (by_time, AT_ONCE * by_time))
        patch = choose_patch(shape, spacing, voxels, limit, whole)
        if patch.value == tried:
            break
        tried = patch.value
        costs, timing = _typical(bench, spacing, tried, LEAST)
        if allowed / NEAR <= timing.step <= NEAR * allowed:
            break
    batch = choose_batch(
        machine,
        math.prod(patch.value),
        survey.voxels,
        MORE_MEMORY * costs["memory"],
        allowed / timing.step,
    )
    if batch.value > LEAST:
        costs, timing = _typical(bench, spacing, patch.value, batch.value)
    train = TrainConfig(patch=patch.value)
    windows = count_windows([round(length) for length in shape], train)
    told = f"{patch.why}; a step of {TYPICAL} takes about {timing.step:g} s here"
    return StepPlan(spacing, Choice(patch.value, told), batch, costs, timing, windows)


def voxels_within(seconds: float, each: float) -> float:
    """Voxels of a patch whose step takes so many seconds, `each` of them so many.

    A patch below the moderate one is as large as leaves time for enough candidates, not for all
    that are wanted: what a network sees of a body is worth more than another network.
    """
    voxels = seconds / each
    return max(voxels, min(PROBE, SPARED * voxels))


def _typical(
    bench: Bench, spacing: tuple[float, float, float], patch: Size, batch: int
) -> tuple[Costs, Timing]:
    [network] = presets_on([TYPICAL], space_on(spacing, patch))
    return bench.typical(TYPICAL, network, _recipe(patch, batch))


def _recipe(patch: Size, batch: int) -> TrainConfig:
    return TrainConfig(patch=patch, batch=batch, loss=LossConfig(dice_form="log"))
