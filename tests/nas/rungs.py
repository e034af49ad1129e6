"""What the tests of the scheduler share: candidates, and short ways to report them."""

from hypothesis import settings
from hypothesis import strategies as st

from nas.config.early_stopping import EarlyStopping
from nas.search.asha import Scheduler
from trainers.config import TrainConfig

COSTS = ("params", "macs", "memory", "latency_ms")
ALL = ("dice", *COSTS)
# Few distinct values, so that ties and equal candidates are common.
DICE = st.sampled_from([0.1, 0.2, 0.3, 0.5, 0.8])
COST = st.sampled_from([1.0, 2.0, 3.0, 50.0])
patient = settings(deadline=None, max_examples=50)


def train(epochs=16, every=1):
    return TrainConfig(patch=(8, 8, 8), epochs=epochs, validate_every=every)


class ByCurve:
    """A scheduler that is told curves alone; their epochs follow from `every`."""

    def __init__(self, made, every):
        self.made, self.every = made, every

    def report(self, key, curve, costs):
        return self.made.report(key, self.every * len(curve), curve, costs)

    def __getattr__(self, name):
        return getattr(self.made, name)


def scheduler(objectives=ALL, epochs=16, every=1, **config):
    config = EarlyStopping(**{"grace": 2, **config})
    return ByCurve(Scheduler(config, train(epochs, every), objectives), every)


def costs(row):
    return dict(zip(COSTS, row, strict=False))


def report(rung, key, row):
    """A first report at the rung after two epochs: `row` is Dice, then costs."""
    return rung.report(key, [0.0, row[0]], costs(row[1:]))


def minimised(row):
    return (-row[0], *row[1:])


def dominates(a, b):
    a, b = minimised(a), minimised(b)
    return all(x <= y for x, y in zip(a, b, strict=True)) and a != b


@st.composite
def rungs(draw, min_size=1):
    """Rows of Dice and one to four costs: all that reached one rung."""
    width = draw(st.integers(1, 4))
    return draw(st.lists(st.tuples(DICE, *[COST] * width), min_size=min_size, max_size=12))


def objectives_of(rows):
    return ALL[: len(rows[0])]
