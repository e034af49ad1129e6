"""How long candidates train, how often they are validated, and how many there are."""

from __future__ import annotations

from dataclasses import dataclass, replace

from nas.analysis.preview.forecast_hours import Schedule, count_validations, early_ends
from nas.analysis.preview.time_candidates import Timing
from nas.config.early_stopping import EarlyStopping
from trainers.config import TrainConfig

GRACE, REDUCTION = 3, 3
EPOCHS = (9, 27)  # the rungs are at 3, or at 3 and 9
STEPS = (400, 300, 250, 200, 150, 120, 100, 80, 60, 50, 40, 30, 20)  # of an epoch
CANDIDATES = (30, 16, 10)  # to be tried: wanted, enough, and the fewest
ENOUGH_STEPS = 450  # in all; below about 400 the order of networks is mostly noise
MANY = 80  # candidates: with as many, trainings become longer than any of the shorter epochs
OFTEN = 0.15  # of an epoch's seconds: what a validation after each may take
SELDOM = 0.5  # of the seconds of three epochs: what a validation after them may take


@dataclass(frozen=True)
class Pace:
    """Seconds of a typical candidate: its `timing`, and `pause` for which nobody trains while its
    latency is measured. `windows` of one validation; `slots`: candidates side by side."""

    timing: Timing
    windows: int
    pause: float
    slots: int


@dataclass(frozen=True)
class Length:
    """A whole training, and when it may end early. `candidates`: for how many there is time."""

    epochs: int
    steps: int
    validate_every: int
    early_stopping: EarlyStopping | None
    candidates: float = 0.0

    def schedule(self, trials: float, pace: Pace, hours: float | None = None) -> Schedule:
        """What a forecast is made of, for the epochs of so many whole trainings."""
        train = TrainConfig(patch=(1, 1, 1), epochs=self.epochs, validate_every=self.validate_every)
        schedule = Schedule(
            trials=1,
            slots=pace.slots,
            epochs=self.epochs,
            steps=self.steps,
            validations=count_validations(train),
            windows=pace.windows,
            pause=pace.pause,
            hours=hours,
            ends=early_ends(self.early_stopping, train),
        )
        return replace(schedule, trials=max(1, round(trials / schedule.mean_end)))


def choose_length(pace: Pace, seconds: float) -> Length:
    """The longest training that leaves enough candidates within so many `seconds` of search.

    Networks are told apart by their Dice only after some hundred steps, and a front needs some
    tens of candidates: with too little time for both, first candidates give way, then steps.
    """
    lengths, longer = (
        [_length(pace, seconds, epochs, steps) for steps in STEPS] for epochs in EPOCHS
    )
    for length in longer:
        if length.candidates >= MANY and length.epochs * length.steps >= EPOCHS[0] * STEPS[0]:
            return length
    for candidates in CANDIDATES:
        for length in lengths:
            if length.candidates >= candidates and length.epochs * length.steps >= ENOUGH_STEPS:
                return length
    return next((one for one in lengths if one.candidates >= CANDIDATES[-1]), lengths[-1])


def _length(pace: Pace, seconds: float, epochs: int, steps: int) -> Length:
    """One of so many steps an epoch, with the candidates for which there is time."""
    validation, epoch = pace.windows * pace.timing.window, steps * pace.timing.step
    if validation > SELDOM * GRACE * epoch:  # of what is trained between two of them
        length = Length(epochs, steps, epochs, None)
    else:
        every = 1 if validation <= OFTEN * epoch else GRACE
        length = Length(epochs, steps, every, EarlyStopping(grace=GRACE, reduction=REDUCTION))
    schedule = length.schedule(1, pace)
    each = schedule.trial_seconds(pace.timing) * schedule.mean_end + pace.slots * pace.pause
    return replace(length, candidates=pace.slots * seconds / each)
