"""How much is searched: limits, length of the trainings, trials, hours."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from nas.analysis.plan.choice import coarse
from nas.analysis.plan.deadline import Deadline
from nas.analysis.plan.forecast import Pool, forecast, pool_of
from nas.analysis.plan.limits import Limits, choose_limits
from nas.analysis.plan.machine import MachineFacts
from nas.analysis.plan.measure import Bench
from nas.analysis.plan.networks import TYPICAL, restrictions, space_on
from nas.analysis.plan.plan_step import StepPlan
from nas.analysis.plan.schedule import Length, Pace, choose_length
from nas.analysis.preview.forecast_hours import Forecast, pause_seconds
from nas.config.run_config import SearchConfig
from nas.cost.latency.config import LatencyConfig
from nas.engine.slots import count_slots
from nas.study.baselines import BaselineSizes
from nas.study.samplers.warm_start import warm_starts
from search_spaces.baselines import PYRAMIDS
from search_spaces.space import Option

PATIENCE = 5  # times the seconds of a typical whole training, after which one is given up


@dataclass(frozen=True)
class SearchPlan:
    """`restrict`: knobs of the space. `hours`: within which trials end; `trial_hours`: of one
    trial, at most. `forecast`: of the trials."""

    length: Length
    limits: Limits
    restrict: Mapping[str, list[Option]]
    trials: int
    hours: float
    trial_hours: float
    forecast: Forecast


def plan_search(
    step: StepPlan,
    validation_cases: int,
    bench: Bench,
    machine: MachineFacts,
    deadline: Deadline,
) -> SearchPlan:
    """Limits by the typical network; the rest by the pace of some random candidates within them."""
    known = Pool([step.costs], [(step.costs, step.timing)])
    roughly = choose_length(_pace(known, step, validation_cases, machine), deadline.planned)
    restrict = restrictions(roughly.candidates)
    limits = choose_limits(TYPICAL, step.costs["macs"], step.costs["memory"], machine)
    classes, budget = bench.sample.cache.targets.outputs, limits.budget
    space = space_on(step.spacing, step.patch.value, restrict, classes)
    typical = step.costs, step.timing
    pool = pool_of(space, step.train, budget, typical, bench)
    pace = _pace(pool, step, validation_cases, machine)
    length = choose_length(pace, deadline.planned)
    whole = length.schedule(1, pace).trial_seconds(pace.timing)
    hours = max(0.01, math.floor(deadline.training / 36) / 100)
    counting = bench.counting(step.train, budget)
    starts = [start.architecture for start in warm_starts(SearchConfig(), space, counting)]
    first = bench.costs(starts, step.train)
    beside = BaselineSizes(PYRAMIDS, space.space, counting)
    expected = beside.expected([*first, *pool.costs], len(first))
    trials, told = forecast(pool, first, length, pace, hours, deadline.planned, expected)
    return SearchPlan(
        length,
        limits,
        restrict,
        trials,
        hours,
        max(0.01, math.ceil(coarse(PATIENCE * whole) / 36) / 100),
        told,
    )


def _pace(pool: Pool, step: StepPlan, validation_cases: int, machine: MachineFacts) -> Pace:
    timing = pool.mean_timing
    pause, slots = pause_seconds(LatencyConfig(), timing.window), count_slots(machine.resources)
    return Pace(timing, validation_cases * step.windows, pause, slots)
