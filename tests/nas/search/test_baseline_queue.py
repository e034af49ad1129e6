import pytest

from nas.cost.latency_probe import Failure
from nas.engine.report import Fidelity, Report
from nas.pareto.objectives import COSTS
from nas.search.baseline_queue import BaselineQueue
from nas.search.candidate_queue import CandidateQueue
from nas.search.repeats import FrontRepeats
from nas.search.search_budget import SearchBudget
from nas.study.baselines import EVERY, BaselineSizes, check_baselines
from nas.study.stored_results import read_records
from search_spaces.registry import find_preset, find_space
from tests.nas.parts import data_space, make_session, open_study, training_costs
from tests.nas.probers import SaysProber, latency
from tests.nas.small_run import config
from trainers.errors import UserError

DICE = 0.5


class Search:
    """A session whose trials end as soon as they begin; `begun` are the networks, in order."""

    def __init__(self, directory, prober=None, starts=0, **changes):
        objectives = ["dice", "params", *(["latency_ms"] if prober else [])]
        self.run = config(**{"space": {}, "objectives": objectives, **changes})
        count = training_costs(self.run, 1, 4)
        self.study = open_study(directory, self.run, count)
        sizes = BaselineSizes(self.run.search.baselines, data_space(self.run).space, count)
        self.baselines = BaselineQueue(self.study, sizes, starts, self.run.train.epochs)
        queue = CandidateQueue(self.study, self.run.budget, prober, self.baselines)
        repeats = FrontRepeats(self.study, SearchBudget(self.run.search, self.run.train), 0)
        self.session = make_session(self.study, self.run, directory, 1, queue, repeats=repeats)
        self.begun = []

    def start(self):
        for _ in range(100):  # the first ones ask, and wait for a latency
            if candidate := self.session.start("trial"):
                self.begun.append(candidate)
                return candidate
        return None

    def end(self, dice=DICE, epochs=3):
        curve = (dice,) * epochs
        goes_on = self.session.report(
            "trial", Report(fidelity=Fidelity(epochs), dice=dice, curve=curve, done=epochs == 3)
        )
        if not goes_on:
            self.session.end("trial")
        return goes_on

    def train(self):
        """To the end of the search."""
        while not self.session.over and self.start():
            self.end()
        return self

    @property
    def trained(self):
        """The names of the baselines, in order."""
        return [candidate.baseline for candidate in self.begun if candidate.baseline]


@pytest.fixture
def search(tmp_path):
    return lambda *args, **changes: Search(tmp_path, *args, **changes)


def searching(**values):
    return {"trials": 10, "confirm": 0, "sampler": "random", "early_stopping": None, **values}


def test_one_baseline_of_each_kind_is_trained_after_every_third_candidate(search):
    done = search(search=searching(trials=15)).train()
    places = [place for place, one in enumerate(done.begun) if one.baseline]
    assert places[0] == EVERY
    kinds = [done.begun[place].architecture.kind for place in places]
    assert sorted(kinds) == sorted({*kinds} & {"unet", "segresnet", "nnunet"})
    for number, place in enumerate(places):
        before = done.begun[:place]
        assert sum(not one.baseline for one in before) >= EVERY * (number + 1)
        most = max(one.costs["macs"] for one in before if not one.baseline)
        assert done.begun[place].costs["macs"] <= most


def test_what_the_search_tries_first_comes_before(search):
    done = search(starts=5, search=searching(trials=9, baselines=["unet-s", "nnunet-s"])).train()
    places = [place for place, one in enumerate(done.begun) if one.baseline]
    assert places == [5, 5 + EVERY + 1]


def test_the_largest_size_within_budget_and_candidates_is_taken(search):
    made = search(search=searching(), budget={"params": 2e5})
    for _ in range(EVERY):
        made.start()
        made.end()
    baseline = made.start()
    most = max(one.costs["macs"] for one in made.begun[:EVERY])
    count = training_costs(made.run, 1, 4)
    others = [
        count.work(point)
        for point in BaselineSizes(["unet"], find_space("hybrid"), count).points["unet"]
    ]
    allowed = [one["macs"] for one in others if one["params"] <= 2e5 and one["macs"] <= most]
    assert baseline.costs["macs"] == max(allowed)


def test_a_baseline_takes_no_place_among_what_the_search_found(search):
    done = search(search=searching()).train()
    [baseline, *_] = done.study.baselines
    assert (baseline.state, baseline.dice, baseline.space) == ("complete", DICE, "baselines")
    assert len(done.begun) == 10 + len(done.trained)
    assert done.session.done == done.study.begun == 10
    assert done.study.epochs == 30
    summary = done.session.summary()
    assert (summary.trials, summary.epochs) == (10, 30)
    assert all(not one.baseline for one in (*done.study.results, *done.session.members))
    assert done.study._study.get_trials()[-1].number < 10 + done.study.repeats


def test_no_sampler_hears_of_a_baseline(search, tmp_path):
    keys = []
    for number, names in enumerate(([], ["unet-s"])):
        folder = tmp_path / str(number)
        folder.mkdir()
        done = Search(folder, search=searching(sampler="tpe", startup=2, baselines=names)).train()
        keys.append([one.key for one in done.begun if not one.baseline])
        assert len(done.begun) == 10 + number
    assert keys[0] == keys[1]


def test_candidates_are_trained_again_and_baselines_are_not(search):
    made = search(search=searching(confirm=0.3, baselines=["unet-s", "nnunet-s"]))
    while not made.session.over:
        made.end(dice=0.9 if made.start().baseline else DICE)
    assert made.trained == ["unet-s", "nnunet-s"]
    again = [one.seed is not None for one in made.begun if not one.baseline]
    assert again == [False] * 7 + [True] * 3
    assert all(one.seed is None for one in made.begun if one.baseline)
    assert (made.session.done, made.session.fraction_spent) == (10, 1)
    assert [baseline.trainings for baseline in made.study.baselines] == [(), ()]


def test_a_baseline_is_not_stopped_early(search):
    stopping = {"grace": 1, "reduction": 2}
    made = search(search=searching(early_stopping=stopping, baselines=["unet-s"]))
    while not (candidate := made.start()).baseline:
        made.end(dice=0.9, epochs=1) and made.end(dice=0.9)
    assert candidate.baseline == "unet-s"
    assert made.end(dice=0.01, epochs=1)


def test_a_short_search_trains_none(search):
    assert search(search=searching(trials=3)).train().trained == []
    assert search(search=searching(trials=3)).train().begun == []  # nor when it is over


def test_a_search_without_baselines_goes_on_and_trains_them(search):
    first = search(search=searching(trials=4, baselines=[])).train()
    assert first.trained == []
    second = search(search=searching(trials=6, baselines=["unet-s", "nnunet-s"])).train()
    assert second.trained == ["unet-s"]  # 4 candidates are two too few for the other
    assert [one.label for one in second.study.baselines] == ["unet-s"]


def test_what_was_under_way_at_a_kill_goes_on_first(search, tmp_path):
    made = search(search=searching(trials=4))
    while not (begun := made.start()).baseline:
        made.end()
    again = search(search=searching(trials=3))  # so that no candidate is wanted any more
    assert again.study.baselines == []
    assert not again.session.over
    assert again.start().key == begun.key
    again.end()
    assert again.session.over
    [stored] = read_records(tmp_path, "hybrid", again.run.budget).baselines
    assert (stored.key, stored.baseline, stored.dice) == (begun.key, begun.baseline, DICE)


def test_an_engine_that_is_started_again_goes_on_with_the_baseline(search):
    made = search(search=searching(trials=4))
    while not (begun := made.start()).baseline:
        made.end()
    made.session.requeue()
    assert made.start().key == begun.key
    made.end()
    assert made.train().trained.count(begun.baseline) == 2


def test_where_no_size_is_within_the_budget_the_kind_is_left_out(search):
    done = search(search=searching(trials=5), budget={"params": 29_000}).train()
    assert done.trained == []
    assert set(done.baselines.left_out) == {"unet", "segresnet", "nnunet"}
    assert done.baselines.left_out["unet"].startswith("no size within the budget and the ")


def test_a_size_that_is_too_slow_gives_way_to_a_smaller_one(search):
    asked = []

    def says(architecture):
        if architecture.space != "baselines":
            return latency(1.0)
        asked.append(architecture)
        return latency(9.0 if len(asked) < 3 else 1.0)

    done = search(
        SaysProber(says), search=searching(baselines=["unet"]), budget={"latency_ms": 5.0}
    ).train()
    [baseline] = done.study.baselines
    assert baseline.key == asked[2].key
    count = training_costs(done.run, 1, 4)
    sizes = [count.work(one)["macs"] for one in asked]
    assert sizes == sorted(sizes, reverse=True)
    assert done.baselines.left_out == {}
    assert set(COSTS) == set(baseline.costs)


def test_a_kind_that_cannot_be_measured_is_left_out_with_the_reason(search):
    def says(architecture):
        return Failure("no such operator") if architecture.space == "baselines" else latency(1.0)

    done = search(SaysProber(says), search=searching(baselines=["unet", "nnunet-s"])).train()
    assert done.trained == []
    assert done.baselines.left_out == {"unet": "no such operator", "nnunet-s": "no such operator"}
    assert done.session.done == 10


def test_a_search_of_the_baselines_has_none_beside_it(search):
    assert search(search=searching(), space={"name": "baselines"}).train().trained == []


def test_a_preset_that_cannot_be_trained_here_is_left_out(search):
    names = ["segresnet-s", "unetr-s"]
    done = search(search=searching(baselines=names), budget={"params": 1e6}).train()
    assert done.trained == []
    assert done.baselines.left_out == {
        "segresnet-s": "over the budget",
        "unetr-s": "it takes no patch of [24, 24, 24]",  # its stride is 16
    }


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("unet-x", "search.baselines: 'unet-x' is no preset. Did you mean unet-s?"),
        ("hybrid-s", "hybrid-s is a network of hybrid, which is searched; name it in"),
    ],
)
def test_a_name_that_is_no_baseline_is_refused(name, told):
    with pytest.raises(UserError, match=told.replace("?", r"\?")):
        check_baselines(["unet", name], find_space("hybrid"))


def test_names_tell_the_size(search):
    done = search(search=searching(trials=15)).train()
    for one in done.begun:
        if one.baseline:
            kind, *size = one.baseline.split("-")
            assert kind == one.architecture.kind
            if size and size[0].startswith("w"):
                assert f"w{one.architecture.width}" == size[0]
                assert f"l{one.architecture.levels}" == size[1]
            else:
                assert find_preset(one.baseline).key == one.key


def test_a_baseline_that_trains_longer_than_candidates_is_not_begun_too_late(search):
    own = search(search=searching(baselines=["unet"]))
    for _ in range(EVERY):
        own.start()
        own.end()
    baseline = own.baselines.next()
    own.study.pace.observe("like it", baseline.costs, 3, 30.0)  # as candidates train
    own.study.pace.most = 60.0
    assert own.baselines.next() == baseline
    whole = BaselineQueue(own.study, own.baselines._sizes, 0, epochs=9)
    assert whole.next() is None
    assert whole.left_out == {"unet": "there is no time left to train it"}
