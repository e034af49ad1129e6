"""What a plan comes to, in a few lines for the screen and the head of its file."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nas.analysis.plan.data_survey import DataSurvey
from nas.analysis.plan.deadline import CLOSING, Deadline
from nas.analysis.plan.machine import MachineFacts
from nas.analysis.plan.networks import TYPICAL
from nas.analysis.plan.plan_search import SearchPlan
from nas.analysis.plan.plan_step import StepPlan
from nas.analysis.plan.schedule import CANDIDATES, ENOUGH_STEPS
from trainers.data.config import OwnSplit, Split
from trainers.data.source_split import patients
from trainers.data.splits import Cases
from trainers.errors import listed
from trainers.volumes.geometry import by

SHOWN = 8  # classes


def summary_lines(
    survey: DataSurvey,
    split: Split | OwnSplit,
    cases: Cases,
    machine: MachineFacts,
    step: StepPlan,
    search: SearchPlan,
    deadline: Deadline,
) -> Iterator[str]:
    """Data, patients, machine, what is trained, and how long it takes."""
    source = survey.source
    parts = ", ".join(f"{len(names)} {part}" for part, names in cases.parts.items())
    shape, spacing = np.median(survey.shapes, axis=0), np.median(survey.spacings, axis=0)
    yield (
        f"Data: {len(survey.cases)} cases ({parts}) of {', '.join(source.modalities)}, in the "
        f"median {by(shape)} voxels of {by(spacing)} mm. {told_classes(survey)}"
    )
    yield from told_doubts(survey)
    yield told_patients(survey, split)
    length, told = search.length, search.forecast
    yield (
        f"Plan: patches of {by(step.patch.value)}, {step.batch.value} a step, which takes "
        f"{TYPICAL} about {step.timing.step:g} s; about {told.trials} networks, each for at most "
        f"{length.epochs} epochs of {length.steps} steps. Machine: {machine}."
    )
    before, after = deadline.before / 3600, CLOSING / 3600
    yield (
        f"Expected: {before + told.hours + after:.2f} hours ({before + told.low + after:.2f} to "
        f"{before + told.high + after:.2f}), {before:.2f} of them to plan and prepare; "
        f"allowed: {deadline.hours:g}."
    )
    steps = length.epochs * length.steps
    if told.trials < CANDIDATES[1] or steps < ENOUGH_STEPS:
        yield (
            f"Little time: {told.trials} networks of {steps} steps give a rough front; more hours "
            "give a better one (--hours)."
        )


def told_doubts(survey: DataSurvey) -> list[str]:
    """Where there are any: a plan is made all the same."""
    if not survey.doubts:
        return []
    count = f"{survey.doubts} doubt{'s' if survey.doubts > 1 else ''}"
    return [f"Look at the data first: segnas check tells {count}, of what may be wrong with them."]


def told_patients(survey: DataSurvey, split: Split | OwnSplit) -> str:
    """How many patients the cases are of and who says so, or that nobody does."""
    source = survey.source
    found = patients(source, split)
    if found is None:
        if isinstance(split, OwnSplit):
            return (
                f"No patients recognised: the parts are those of {source.described_by}; look that "
                "no patient is in two of them."
            )
        return (
            "No patients recognised: each case counts as one; set data.split.groups where patients "
            "have several, or scores are too good."
        )
    sizes = sorted(map(len, found))
    each = f"{sizes[0]}" if sizes[0] == sizes[-1] else f"{sizes[0]} to {sizes[-1]}"
    cases = f"{each} case{'s' if sizes[-1] > 1 else ''} each"
    said = f"names like {max(found, key=len)[0]}" if split.groups else source.described_by
    stay = "the cases of one stay in one part"
    if isinstance(split, OwnSplit):
        stay = f"the parts are those of {source.described_by}"
    return f"Patients: {len(found)}, {cases} (by {said}); {stay}."


def told_classes(survey: DataSurvey) -> str:
    """Names of the classes or regions, and which one is smallest where it is."""
    targets = survey.source.targets
    names = targets.names
    voxels = np.array([case.voxels for case in survey.cases], dtype=float)
    each = [voxels[:, group].sum(1) for group in targets.groups]
    sizes = [np.median(column[column > 0]) if column.any() else 0.0 for column in each]
    least = int(np.argmin(sizes))
    one, several = ("Region", "regions") if targets.regions else ("Class", "classes")
    which = one if len(names) == 1 else f"{len(names)} {several}"
    return (
        f"{which}: {listed(names, SHOWN)}; the smallest, {names[least]}, has {sizes[least]:,.0f} "
        "voxels in the median."
    )
