"""Greedy choice of the steps of each class: one after the other, the one that helps most, as long
as one helps and costs no Dice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from trainers.bootstrap import mean_with_interval
from trainers.data.check import Progress
from trainers.postprocess.choice import Choice, Quality
from trainers.postprocess.measure import SegmentedCase
from trainers.postprocess.priors import Prior
from trainers.volumes.geometry import rounded
from trainers.volumes.steps import Steps

FEWEST = 5  # cases: of fewer, all may be better by luck
MOST_DICE = 0.002  # that a class may lose
RADII = (1, 2)  # of opening and closing, in voxels of the finest axis


def choose(
    cases: Sequence[SegmentedCase],
    classes: Sequence[str],
    priors: Mapping[str, Prior],
    progress: Progress | None = None,
    unseen: Sequence[Mapping[str, Prior]] | None = None,
) -> dict[str, Choice]:
    """The steps of every class but the background, measured on `cases`; none on under `FEWEST`.

    A step helps where some case is better with it, in HD95 or Dice, and none worse; or where the
    95% interval of what it takes from the HD95, by bootstrap over the cases, lies above 0; or that
    of what it adds to the Dice does, and the HD95 grows no larger. It is left
    out where the interval of the Dice it costs, beside no step at all, reaches `MOST_DICE`: a cost
    that one case had may come again. Of those that help, the one that takes most from the HD95 is
    taken, and the search goes on from there. `priors`: of the training cases; a class without one
    is offered the steps that need none. `unseen`: where `priors` know the labels of `cases`, those
    of others for each case, whose steps it is measured with.
    """
    chosen, finest = {}, float(np.median([case.predicted.spacing.min() for case in cases]))
    for value, name in enumerate(classes[1:], start=1):
        told = [priors.get(name), *(one.get(name) for one in unseen or [priors] * len(cases))]
        offers = [_offers(prior, finest) for prior in told]
        steps, *own = _greedy(cases, value, offers)
        none = [Steps()] * len(cases)
        before, after = (_means(_scores(cases, value, each)) for each in (none, own))
        chosen[name] = Choice(steps, before, after)
        if progress:
            progress(value, len(classes) - 1, "postprocessing chosen")
    return chosen


def _offers(prior: Prior | None, finest: float) -> dict[str, dict[str, Any]]:
    """Changes of a class's steps, by what they are called; `finest`: mm of a voxel."""
    offers: dict[str, dict[str, Any]] = {}
    for voxels in RADII:
        radius = rounded(voxels * finest, 6)  # a thousandth less reaches no voxel
        offers[f"opening by {voxels}"] = {"opening_mm": radius}
        offers[f"closing by {voxels}"] = {"closing_mm": radius}
    offers["holes"] = {"holes": True}
    offers["the largest"] = {"components": 1}
    if prior is None:
        return offers
    if prior.components > 1:
        offers["the largest ones"] = {"components": prior.components}
    offers["volume"] = {"volume_mm3": rounded(prior.volume_mm3, 1)}
    if prior.touches:
        offers["touches"] = {"touches": prior.touches}
    if prior.places:
        offers["places"] = {"places": prior.places}
    return offers


def _greedy(
    cases: Sequence[SegmentedCase], value: int, offers: Sequence[Mapping[str, dict[str, Any]]]
) -> list[Steps]:
    """The steps that are chosen, and then those that each of the cases is measured with.

    `offers`: to the one and to the others. Who has no such offer is measured without the step.
    """
    best = [Steps()] * (1 + len(cases))
    raw = _scores(cases, value, best[1:])
    if len(cases) < FEWEST:
        return best
    while True:
        now = _scores(cases, value, best[1:])
        helping = []
        for kind, change in offers[0].items():
            if change.keys() & best[0].used().keys():
                continue
            changes = [each.get(kind, {}) for each in offers]
            option = [replace(s, **c) for s, c in zip(best, changes, strict=True)]
            then = _scores(cases, value, option[1:])
            if _helps(now, then) and _costs_no_dice(raw, then):
                helping.append((now[:, 1].mean() - then[:, 1].mean(), then[:, 0].mean(), option))
        if not helping:
            return best
        best = max(helping, key=lambda one: one[:2])[2]


def _scores(cases: Sequence[SegmentedCase], value: int, steps: Sequence[Steps]) -> np.ndarray:
    """(cases, 2): Dice, and HD95 in mm, after each case's steps."""
    return np.array([case.scores(value, own) for case, own in zip(cases, steps, strict=True)])


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
