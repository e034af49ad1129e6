"""Greedy choice of the steps of each class: one after the other, the one that helps most, as long
as one helps and costs no Dice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from trainers.bootstrap import mean_with_interval
from trainers.data.check import Progress
from trainers.postprocess.choice import Choice, Quality
from trainers.postprocess.measure import SegmentedCase
from trainers.postprocess.priors import Prior
from trainers.volumes.steps import Steps

FEWEST = 5  # cases: of fewer, all may be better by luck
MOST_DICE = 0.002  # that a class may lose
RADII = (1, 2)  # of opening and closing, in voxels of the finest axis


def choose(
    cases: Sequence[SegmentedCase],
    classes: Sequence[str],
    priors: Mapping[str, Prior],
    progress: Progress | None = None,
) -> dict[str, Choice]:
    """The steps of every class but the background, measured on `cases`; none on under `FEWEST`.

    A step helps where some case is better with it, in HD95 or Dice, and none worse; or where the
    95% interval of what it takes from the HD95, by bootstrap over the cases, lies above 0; or that
    of what it adds to the Dice does, and the HD95 grows no larger. It is left
    out where the interval of the Dice it costs, beside no step at all, reaches `MOST_DICE`: a cost
    that one case had may come again. Of those that help, the one that takes most from the HD95 is
    taken, and the search goes on from there. `priors`: of the training cases; a class without one
    is offered the steps that need none.
    """
    chosen, finest = {}, float(np.median([case.predicted.spacing.min() for case in cases]))
    for value, name in enumerate(classes[1:], start=1):
        steps = _greedy(cases, value, list(_offers(priors.get(name), finest)))
        before, after = (_means(_scores(cases, value, each)) for each in (Steps(), steps))
        chosen[name] = Choice(steps, before, after)
        if progress:
            progress(value, len(classes) - 1, "postprocessing chosen")
    return chosen


def _offers(prior: Prior | None, finest: float) -> Iterator[dict[str, Any]]:
    """Changes of a class's steps; `finest`: mm of a voxel."""
    for voxels in RADII:
        radius = round(voxels * finest, 3)
        yield {"opening_mm": radius}
        yield {"closing_mm": radius}
    yield {"holes": True}
    yield {"components": 1}
    if prior is None:
        return
    if prior.components > 1:
        yield {"components": prior.components}
    yield {"volume_mm3": round(prior.volume_mm3, 1)}
    if prior.touches:
        yield {"touches": prior.touches}
    if prior.places:
        yield {"places": prior.places}


def _greedy(cases: Sequence[SegmentedCase], value: int, offers: Sequence[dict[str, Any]]) -> Steps:
    best, raw = Steps(), _scores(cases, value, Steps())
    if len(cases) < FEWEST:
        return best
    while True:
        now = _scores(cases, value, best)
        helping = []
        for change in offers:
            if change.keys() & best.used().keys():
                continue
            option = replace(best, **change)
            then = _scores(cases, value, option)
            if _helps(now, then) and _costs_no_dice(raw, then):
                helping.append((now[:, 1].mean() - then[:, 1].mean(), then[:, 0].mean(), option))
        if not helping:
            return best
        best = max(helping, key=lambda one: one[:2])[2]


def _scores(cases: Sequence[SegmentedCase], value: int, steps: Steps) -> np.ndarray:
    """(cases, 2): Dice, and HD95 in mm."""
    return np.array([case.scores(value, steps) for case in cases])


def _helps(now: np.ndarray, then: np.ndarray) -> bool:
    dice, closer = (then - now)[:, 0], (now - then)[:, 1]
    if closer.mean() < 0:
        return False
    if min(closer.min(), dice.min()) >= 0 and (closer.any() or dice.any()):
        return True
    return _surely_above(closer, 0.0) or _surely_above(dice, 0.0)


def _costs_no_dice(raw: np.ndarray, then: np.ndarray) -> bool:
    return _surely_above((then - raw)[:, 0], -MOST_DICE)


def _surely_above(values: np.ndarray, least: float) -> bool:
    """Is the 95% interval of their mean?"""
    if not values.mean() > least:
        return False
    low = mean_with_interval(values).low
    return low is not None and low > least


def _means(scores: np.ndarray) -> Quality:
    dice, hd95 = scores.mean(0)
    return Quality(float(dice), float(hd95))
