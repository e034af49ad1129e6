"""Replays in simulated time, on tables small enough to follow by hand."""

import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from math import inf
from pathlib import Path

import numpy as np
import pytest

from benchmarks.simulation.choices import Choices
from benchmarks.simulation.ours import Ours
from benchmarks.simulation.peers import KINDS, Peer
from benchmarks.simulation.quality import Quality
from benchmarks.simulation.replay import Run, replay
from benchmarks.simulation.report import epochs_until, share_above
from benchmarks.simulation.runs import Contest
from benchmarks.simulation.setups import OURS, SETUPS
from benchmarks.simulation.stock import Stock
from benchmarks.simulation.table import Network, Table, load_table
from nas.config.run_config import SpaceConfig
from nas.study.samplers.ehvi.pool import Pool
from search_spaces.space import RandomTrial
from trainers.errors import UserError

EPOCHS, BUDGET = 4, 24
OBJECTIVES = ("dice", "params", "latency_ms")


def network(key: str, curve: Sequence[float], seconds: float = 1.0, params: float = 10) -> Network:
    return Network(key, {}, {"params": params}, seconds, (tuple(curve),))


def table(*networks: Network) -> Table:
    return Table({network.key: network for network in networks}, {})


class Script:
    """Asks for the named networks in their order, and stops those in `stop` after an epoch."""

    def __init__(self, keys: str, stop: str = "", only: int | None = None) -> None:
        self.waiting, self.stop = list(keys), stop
        self.seen: list[tuple[str, tuple[float, ...]]] = []
        self.ended: list[tuple[str, bool]] = []

    def ask(self, begun: int) -> Run | None:
        return Run("", self.waiting.pop(0)) if self.waiting else None

    def report(self, run: Run, curve: Sequence[float]) -> bool:
        self.seen.append((run.key, tuple(curve)))
        return run.key not in self.stop

    def end(self, run: Run, curve: Sequence[float], complete: bool) -> None:
        self.ended.append((run.key, complete))


QUICK, SLOW = network("q", [0.1, 0.2], seconds=1), network("s", [0.3, 0.4], seconds=3)


def test_the_quicker_network_ends_first_and_epochs_of_all_workers_are_counted():
    found = replay(Script("sq"), table(QUICK, SLOW).networks, 0, budget=99, workers=2)
    # q's epochs end at 1 s and 2 s, those of s at 3 s and 6 s.
    assert found == [(2, "q"), (4, "s")]


def test_one_worker_trains_one_network_after_the_other():
    found = replay(Script("sq"), table(QUICK, SLOW).networks, 0, budget=99, workers=1)
    assert found == [(2, "s"), (4, "q")]


def test_no_epoch_begins_beyond_the_budget_and_what_is_under_way_then_is_lost():
    script = Script("qs")
    assert replay(script, table(QUICK, SLOW).networks, 0, budget=3, workers=1) == [(2, "q")]
    assert script.ended == [("q", True)]


def test_a_stopped_network_frees_its_worker_and_is_not_complete():
    script = Script("qs", stop="q")
    assert replay(script, table(QUICK, SLOW).networks, 0, budget=99, workers=1) == [(3, "s")]
    assert script.seen == [("q", (0.1,)), ("s", (0.3,))]
    assert script.ended == [("q", False), ("s", True)]


def test_a_replay_sees_the_curve_of_its_seed():
    twice = Network("q", {}, {}, 1.0, ((0.1, 0.2), (0.3, 0.4)))
    script = Script("q")
    replay(script, {"q": twice}, 3, budget=99)
    assert script.seen == [("q", (0.3,))]


def test_hypervolume_is_that_of_boxes_counted_by_hand():
    # Scaled (Dice, params): a = (1, 0), b = (0, 1), c = (0.5, 0.5); reference (1.1, 1.1).
    a, b = network("a", [0.6], params=10), network("b", [0.8], params=1000)
    quality = Quality(table(a, b, network("c", [0.7], params=100)), ["dice", "params"])
    whole = 0.6 * 0.6 + 0.1 * 0.5 + 0.1 * 0.5  # of c, then what a and b add to it
    assert quality.of(["a"], 0) == pytest.approx(0.11 / whole)
    assert quality.of(["c", "c"], 0) == pytest.approx(0.36 / whole)
    assert quality.of("abc", 0) == pytest.approx(1)
    assert quality.of([], 0) == 0


def test_hypervolume_grows_when_a_training_is_complete_and_not_before():
    a, b = network("a", [0.6], params=10), network("b", [0.8], params=1000)
    quality = Quality(table(a, b), ["dice", "params"])
    steps = quality.steps([(2, "a"), (3, "a"), (5, "b")], 0, budget=6)
    # a and b are worth a tenth by eleven tenths each, and share a tenth by a tenth.
    half = 0.11 / 0.21
    assert steps == pytest.approx([0, 0, half, half, half, 1, 1])


def test_epochs_until_a_target_that_is_reached_late_at_once_or_never():
    values = np.array([[0.0, 0.2, 0.5], [0.9, 0.9, 0.9], [0.0, 0.1, 0.2]])
    assert epochs_until(values, 0.5).tolist() == [2, 0, inf]


def test_equal_seeds_count_half():
    assert share_above(np.array([1.0, 2.0, 3.0, 3.0]), np.array([0.0, 3.0, 3.0, 3.0])) == 0.5


def written(path: Path, **changes: object) -> Path:
    row = {"key": "k", "architecture": {}, "params": 5, "macs": 7, "seconds_per_epoch": 2.0}
    rows = [{**row, "dice": [[0.1, 0.2], [0.3, 0.4]]}, {**row, "key": "l", "dice": [[0.5, 0.6]]}]
    rows[1] |= changes
    path.write_text(json.dumps({"about": "", "config": {"name": "t"}, "networks": rows}))
    return path


def test_a_table_is_read_with_one_or_two_seeds(tmp_path):
    table = load_table(written(tmp_path / "t.json", latency_ms=3.5))
    assert table.epochs == 2 and table.config["name"] == "t"
    assert table.networks["k"].costs == {"params": 5, "macs": 7}
    assert table.networks["l"].costs["latency_ms"] == 3.5
    assert table.networks["k"].curve(1) == (0.3, 0.4)
    assert table.networks["l"].curve(1) == (0.5, 0.6)


def test_a_table_with_curves_of_two_lengths_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"curves of \[2, 3\] epochs"):
        load_table(written(tmp_path / "t.json", dice=[[0.1, 0.2, 0.3]]))


RESTRICT = {
    "growth": [2.0],
    "levels": [3],
    "stem_stride": [2],
    "refine": [4],
    "convs": [2],
    "norm": ["instance"],
    "skip": ["concat"],
    "decoder": ["residual"],
    "prior": [False],
    "anchors": [0],
    "token_stages": [0],
    "width": [4, 8, 12],
    "conv": ["standard", "ghost"],
    "residual": [True, False],
}


@pytest.fixture(scope="module")
def hybrids() -> Table:
    """Twelve networks; the wider, the dearer and the better, from epoch to epoch."""
    space = SpaceConfig(name="hybrid", restrict=RESTRICT)
    points = [space.space().sample(RandomTrial(seed), space.restrict) for seed in range(200)]
    networks = {}
    for point in sorted(points, key=lambda point: point.key):
        size = 10 * point.width + 3 * (point.conv == "standard") + point.residual
        curve = tuple(size / 200 * (epoch + 1) / EPOCHS for epoch in range(EPOCHS))
        costs = {"params": size, "latency_ms": size / 10}
        networks[point.key] = Network(point.key, point.to_json(), costs, 1.0, (curve,))
    config = {
        "name": "test",
        "data": {"source": "msd", "path": "data"},
        "space": {"name": "hybrid", "restrict": RESTRICT},
        "train": {"patch": [16, 16, 16], "epochs": EPOCHS},
    }
    return Table(networks, config)


def completions(
    setup: Stock | Ours | Peer, table: Table, budget: int = BUDGET
) -> list[tuple[int, str]]:
    return replay(setup.policy(table, OBJECTIVES, 0, budget), table.networks, 0, budget)


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize("name", SETUPS)
def test_every_setup_trains_networks_of_the_table_and_within_the_budget(name, hybrids):
    found = completions(SETUPS[name], hybrids)
    assert found and {key for _, key in found} <= set(hybrids.networks)
    assert [trained for trained, _ in found] == sorted({trained for trained, _ in found})
    assert found[-1][0] <= BUDGET
    assert completions(SETUPS[name], hybrids) == found


def test_the_default_sampler_chooses_from_a_pool(hybrids, monkeypatch):
    """Its networks are counted; one that cannot be is in no pool, and a draw takes its place."""
    kept, add = [], Pool.add

    def watched(self, params):
        add(self, params)
        kept.append(len(self.open(())))

    monkeypatch.setattr(Pool, "add", watched)
    completions(SETUPS[OURS], hybrids)
    assert kept and min(kept) > 0


def test_choices_are_all_networks_of_the_table_once(hybrids):
    choices = Choices(hybrids, ("dice", "params"))
    places = product(*(range(len(options)) for options in choices.options.values()))
    keys = [choices.key(dict(zip(choices.options, each, strict=True))) for each in places]
    assert sorted(keys) == sorted(hybrids.networks)
    assert "width" in choices.numbers and "conv" not in choices.numbers
    key = keys[0]
    params = hybrids.networks[key].costs["params"]
    assert choices.losses(key, 0.75) == pytest.approx([0.25, np.log10(params)])


PACKAGES = {"BoTorch": "botorch", "pymoo": "pymoo", "SMAC": "smac", "Syne": "syne_tune"}


@pytest.mark.parametrize("name", KINDS)
def test_peers_train_networks_of_the_table_and_within_the_budget(name, hybrids):
    pytest.importorskip(PACKAGES.get(name.split()[0], "neps"))
    found = completions(Peer(name), hybrids)
    assert found and {key for _, key in found} <= set(hybrids.networks)
    assert found[-1][0] <= BUDGET


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_stock_searches_train_a_network_again_and_ours_do_so_only_when_told(hybrids):
    def repeats(setup: Stock | Ours) -> int:
        keys = [key for _, key in completions(setup, hybrids, budget=40)]
        return len(keys) - len(set(keys))

    assert repeats(Stock("random")) > 0
    ours = {"early_stopping": None, "sampler": "random"}
    assert repeats(Ours(ours)) == 0
    assert repeats(Ours(ours, repeats=True)) > 0


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_a_stopped_trial_of_stock_ray_is_complete_to_its_sampler(hybrids):
    policy = Stock("random", asha=True).policy(hybrids, ("dice", "params"), 0, BUDGET)
    run = policy.ask(0)
    policy.end(Run(run.name, run.key, 1), (0.25,), complete=False)
    costs = hybrids.networks[run.key].costs
    (trial,) = policy.search._ot_study.get_trials()
    assert trial.state.name == "COMPLETE" and trial.values == [0.25, costs["params"]]


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_a_second_contest_replays_only_what_is_new(hybrids, tmp_path):
    cache, setups = tmp_path / "cache.json", {"random": Stock("random")}
    contest = Contest(hybrids, ("dice", "params"), budget=16, seeds=2)
    contest.run(setups, 1, cache)
    stored = {name: [] for name in json.loads(cache.read_text())}
    cache.write_text(json.dumps(stored))  # so that what is read from it shows
    found = replace(contest, seeds=3).run(setups, 1, cache)["random"]
    assert len(stored) == 2 and found[:2] == [[], []] and found[2]
