"""Means over cases with confidence intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import bootstrap

RESAMPLES = 10_000
_BATCH = 100  # resamples at a time: memory is that of so many copies of the values


@dataclass(frozen=True)
class Mean:
    """A mean over `cases` and its 95% confidence interval, None where there is none."""

    value: float | None
    low: float | None
    high: float | None
    cases: int


def mean_with_interval(values: np.ndarray) -> Mean:
    """Mean over the cases that are not NaN, with the percentile bootstrap's 95% interval.

    values: (cases,). Cases are drawn with replacement `RESAMPLES` times; low and high are the 2.5th
    and 97.5th percentile of their means (Efron and Tibshirani 1993, ch. 13). A single case has a
    mean and no interval.
    """
    counted = values[~np.isnan(values)]
    if counted.size == 0:
        return Mean(None, None, None, 0)
    if counted.size == 1:
        return Mean(float(counted[0]), None, None, 1)
    interval = bootstrap(
        (counted,),
        np.mean,
        n_resamples=RESAMPLES,
        batch=_BATCH,
        method="percentile",
        random_state=np.random.default_rng(0),
    ).confidence_interval
    return Mean(float(counted.mean()), float(interval.low), float(interval.high), counted.size)
