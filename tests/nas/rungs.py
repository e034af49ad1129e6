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
TIES = st.sampled_from(["together", "crowding", "hypervolume"])
SPLIT = st.sampled_from(["crowding", "hypervolume"])  # a rank that has not room for all


def train(epochs=16, every=1):
    return TrainConfig(patch=(8, 8, 8), epochs=epochs, validate_every=every)


def scheduler(objectives=ALL, epochs=16, every=1, **config):
    config = {"grace": 2, "ties": "crowding", **config}
    return Scheduler(EarlyStopping(**config), train(epochs, every), objectives)


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
