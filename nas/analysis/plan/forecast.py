"""How long the planned search takes, as `segnas preview` forecasts it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count

from nas.analysis.plan.measure import Bench, mean_timing
from nas.analysis.plan.schedule import Length, Pace
from nas.analysis.preview.forecast_hours import Forecast, forecast_hours
from nas.analysis.preview.sample_space import draw_points
from nas.analysis.preview.survey import Costs, Survey
from nas.analysis.preview.time_candidates import Timing
from nas.config.data_space import DataSpace
from nas.pareto.budget import Budget
from trainers.config import TrainConfig

DRAWN, TIMED = 80, 8
SEED = 0
FEW = (2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 16, 18, 20, 22, 24, 27, 30, 34, 38, 42, 46,
          50, 55, 60, 70, 80, 90, 100, 120, 140, 160, 200)  # fmt: skip


def ladder() -> Iterator[int]:
    """Trials of which a plan takes one."""
    yield from FEW
    for step in count(1):
        yield round(FEW[-1] * 1.2**step)


@dataclass(frozen=True)
class Pool:
    """Costs of random candidates within the budget, and the seconds of a few of them."""

    costs: Sequence[Costs]
    timed: Sequence[tuple[Costs, Timing]]

    @property
    def mean_timing(self) -> Timing:
        """Of those that were timed."""
        return mean_timing([timing for _, timing in self.timed])


def pool_of(
    space: DataSpace,
    train: TrainConfig,
    budget: Budget,
    typical: tuple[Costs, Timing],
    bench: Bench,
) -> Pool:
    """Draw candidates, count them, and train a few from small to large a little.

    `typical`: one that is known already, which is in the pool whatever is drawn.
    """
    draw = draw_points(space.space, space.restrict, DRAWN, SEED)
    costs = tuple(bench.costs(draw.points, train))
    survey = Survey(draw, costs, leading={}, broken={})
    within = survey.spread(survey.within(budget), DRAWN)  # from small to large
    places = survey.spread(within, TIMED)
    found = bench.time([draw.points[i] for i in places], train)
    timed = [(costs[i], t) for i, t in zip(places, found, strict=True) if isinstance(t, Timing)]
    return Pool([typical[0], *(costs[i] for i in within)], [typical, *timed])


def forecast(
    pool: Pool,
    first: Sequence[Costs],
    length: Length,
    pace: Pace,
    hours: float,
    seconds: float,
    baselines: Sequence[Costs] = (),
) -> tuple[int, Forecast]:
    """The most trials that end within so many `seconds`, and their forecast.

    `first`: costs of what is tried first; `baselines`: of what is trained beside it all. `hours`:
    the limit of the search itself, after which none starts.
    """
    best: tuple[int, Forecast] | None = None
    for trials in ladder():
        schedule = length.schedule(trials, pace, hours)
        told = forecast_hours(pool.timed, first, pool.costs, schedule, SEED, baselines)
        if best and (told.hours * 3600 > seconds or told.cut_short):
            break
        best = trials, told
    assert best
    return best
