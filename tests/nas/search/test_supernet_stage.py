"""The stage before the candidates, told by an engine that is not there."""

from dataclasses import replace

import pytest

from nas.config.run_config import SearchConfig
from nas.engine.report import Fidelity
from nas.engine.supernet.score_batch import Scored, ScoreReport
from nas.engine.supernet.train_supernet import SupernetReport
from nas.engine.trial_files import TrialFiles
from nas.search.scoring import BATCH, Scoring
from nas.search.supernet_record import SupernetRecord
from nas.search.supernet_stage import GO_ON, OTHERWISE, StageView, SupernetStage
from nas.search.time_account import TimeAccount
from nas.study.contenders import Contenders
from nas.study.samplers.testing import settings_of
from nas.study.scores import Scores
from trainers.errors import UserError

EPOCHS = 3


class Stage:
    """A stage in a folder with what it said, and a clock that a test turns."""

    def __init__(self, folder, slots=2, candidates=100, seconds=1e9, retries=1):
        self.said, self.shown, self.tracked, self.now = [], [], [], 0.0
        self.scores, self.record = Scores(folder), SupernetRecord.read(folder)
        own = replace(settings_of(SearchConfig(strategy="supernet")), scores=self.scores)
        contenders = Contenders(own, self.scores)
        self.time = TimeAccount(slots, clock=lambda: self.now)
        view = StageView(self.said.append, lambda text, _: self.shown.append(text), self.track)
        self.files = TrialFiles(folder, 30)
        self.stage = SupernetStage(
            self.files,
            self.record,
            Scoring(contenders, self.scores, self.record, candidates, 2, seconds),
            self.time,
            view,
            threads=8,
            retries=retries,
        )

    def track(self, curve):
        self.tracked.append(len(curve))

    def report_of(self, epoch, **found):
        told = {"loss": 1 / epoch, "dice": None, "seconds": 5.0, "done": epoch == EPOCHS, **found}
        return SupernetReport(epochs=EPOCHS, fidelity=Fidelity(epoch, shared=True), **told)

    def epoch(self, epoch, trial="a", **found):
        return self.stage.report(trial, self.report_of(epoch, **found))

    def hangs(self, job):
        """The last process at the job has."""
        trace = self.files.watchdog(job).trace
        trace.parent.mkdir(exist_ok=True)
        trace.write_text("Timeout!")

    def train(self):
        assert self.stage.start("a").record == {"threads": 8}
        for epoch in range(1, EPOCHS + 1):
            self.epoch(epoch)
        self.stage.end("a")

    def score(self, trial, count=None, dice=0.5):
        """The worker has scored `count` more of its networks; all without one."""
        left = list(self.stage.running[trial].left)[:count]
        costs = {"params": 1.0, "macs": 1.0}
        done = len(left) == len(self.stage.running[trial].left)
        scored = tuple(Scored(key, costs, dice, None if dice else "over budget") for key in left)
        report = ScoreReport(scored=scored, seconds=2.0, done=done, fidelity=Fidelity(shared=True))
        return self.stage.report(trial, report)


def test_nothing_is_scored_before_the_supernet_is_trained(tmp_path):
    own = Stage(tmp_path)
    assert own.stage.start("a").name == "supernet"
    assert own.stage.start("b") is None and not own.stage.over
    assert own.epoch(1) and own.epoch(2) and not own.epoch(3)
    own.stage.end("a")
    first, second = own.stage.start("b"), own.stage.start("c")
    assert (len(first.batch), len(second.batch)) == (BATCH, 100 - BATCH)
    assert not {n.key for n in first.batch} & {n.key for n in second.batch}
    assert own.stage.start("d") is None  # no slot
    own.score("b")
    own.stage.end("b")
    assert own.stage.start("d") is None and not own.stage.over  # the rest is under way
    own.score("c")
    own.stage.end("c")
    assert own.stage.over and len(own.scores) == 100
    assert {score.epoch for score in own.scores} == {EPOCHS}
    assert own.tracked == [1, 2, 3]


def test_another_session_trains_and_scores_nothing_again(tmp_path):
    own = Stage(tmp_path)
    own.train()
    own.stage.start("b")
    own.score("b", 10)
    own.stage.interrupt()
    assert not own.score("b", 5)  # it is to stop
    own.stage.end("b")
    assert own.stage.over
    again = Stage(tmp_path)
    assert not again.stage.over and len(again.scores) == 15
    known = {score.key for score in again.scores}
    batches = [again.stage.start(trial).batch for trial in "bc"]
    assert {n.key for batch in batches for n in batch}.isdisjoint(known)
    assert sum(map(len, batches)) == 85
    for trial in "bc":
        again.score(trial)
        again.stage.end(trial)
    assert again.stage.over and len(Scores(tmp_path)) == 100
    assert Stage(tmp_path).stage.over


def test_a_training_whose_worker_died_goes_on_and_gives_up_in_the_end(tmp_path):
    own = Stage(tmp_path, retries=1)
    own.stage.start("a")
    own.epoch(1)
    own.stage.on_worker_lost("a", counts=True)
    assert own.stage.start("b").name == "supernet"
    own.epoch(2, "b")
    own.stage.on_worker_lost("b", counts=True, cause="OSError: no room")
    told = "its worker failed 2 times, the last time with OSError: no room"
    assert own.stage.over and own.stage.failure == f"{told}. {GO_ON}"
    assert own.tracked == [1, 2]


def test_weights_of_who_is_heard_are_kept_and_nothing_is_left_of_attempts(tmp_path):
    own, folder = Stage(tmp_path), tmp_path / "supernet"
    folder.mkdir()
    own.stage.start("a")
    (folder / "supernet.attempt-a").write_text("first")
    own.epoch(1, attempt="a")
    own.stage.on_worker_lost("a", counts=False)
    (folder / "supernet.attempt-a").write_text("late")
    own.stage.start("b")
    own.epoch(2, "b", attempt="b")  # which saved nothing yet
    assert (folder / "supernet.pt").read_text() == "first"
    (folder / "supernet.attempt-b").write_text("last")
    own.epoch(3, "b", attempt="b")
    own.stage.end("b")
    assert (folder / "supernet.pt").read_text() == "last" and own.record.trained
    assert {path.name for path in folder.iterdir()} == {"supernet.pt", "record.json"}


def test_nothing_is_left_of_attempts_by_processes_that_train_together(tmp_path):
    own, folder = Stage(tmp_path), tmp_path / "supernet"
    folder.mkdir()
    for epoch, attempt in ((1, "f00"), (3, "ba7")):  # of each start, whose trial is the same
        own.stage.start("supernet")
        (folder / f"supernet.attempt-{attempt}").write_text(attempt)
        own.epoch(epoch, "supernet", attempt=attempt)
        if epoch == 1:
            own.stage.on_worker_lost("supernet", counts=True)
            assert {path.name for path in folder.iterdir()} == {"supernet.pt", "record.json"}
    own.stage.end("supernet")
    assert (folder / "supernet.pt").read_text() == "ba7"
    assert {path.name for path in folder.iterdir()} == {"supernet.pt", "record.json"}


def test_a_supernet_whose_last_weights_cannot_be_kept_is_not_trained(tmp_path):
    own, folder = Stage(tmp_path), tmp_path / "supernet"
    (folder / "supernet.pt").mkdir(parents=True)  # in the way
    own.stage.start("a")
    (folder / "supernet.attempt-a").write_text("weights")
    assert own.epoch(1, attempt="a") and "left as it was before" in own.said[0]
    assert not own.epoch(3, attempt="a")
    own.stage.end("a")
    assert own.stage.over and "its weights cannot be kept" in own.stage.failure
    assert not SupernetRecord.read(tmp_path).trained


def test_an_epoch_that_is_trained_again_is_told_once(tmp_path):
    own = Stage(tmp_path)
    own.stage.start("a")
    own.epoch(1)
    own.epoch(2, saved=False)
    own.stage.on_worker_lost("a", counts=True)
    own.stage.start("b")
    own.epoch(2, "b", loss=0.25)
    assert [(one["epoch"], one["loss"]) for one in own.record.curve] == [(1, 1.0), (2, 0.25)]


def test_what_is_left_is_told_by_the_epochs_of_this_session(tmp_path):
    """The first session trained two epochs, in five seconds each, and could save neither."""
    own = Stage(tmp_path)
    own.stage.start("a")
    own.epoch(1)
    assert own.shown[-1].endswith("(left about 0:10)")
    own.epoch(2)
    again = Stage(tmp_path)
    again.stage.start("b")
    again.epoch(1, "b", seconds=20.0)
    assert again.shown[-1].endswith("(left about 0:40)")
    again.epoch(2, "b", seconds=30.0)
    assert again.shown[-1].endswith("(left about 0:25)")
    assert again.record.train_seconds == 60  # of all sessions, as it is told in the end


def test_the_rest_of_a_batch_goes_on_elsewhere_and_is_left_out_in_the_end(tmp_path):
    own = Stage(tmp_path, slots=1, candidates=10, retries=1)
    own.train()
    whole = [network.key for network in own.stage.start("b").batch]
    own.score("b", 4)
    own.stage.on_worker_lost("b", counts=True)
    assert [network.key for network in own.stage.start("c").batch] == whole[4:]
    own.stage.on_worker_lost("c", counts=True)
    assert "6 are left out" in own.said[-1]
    fresh = own.stage.start("d").batch
    assert len(fresh) == 6 and not {network.key for network in fresh} & set(whole)


def test_a_supernet_that_fails_ends_the_stage(tmp_path):
    own = Stage(tmp_path)
    own.stage.start("a")
    report = SupernetReport(reason="out of memory: no room", done=True)
    assert not own.stage.report("a", report)
    own.stage.end("a")
    assert own.stage.over and own.stage.failure == f"out of memory: no room. {OTHERWISE}"
    assert not SupernetRecord.read(tmp_path).trained


def test_a_batch_that_hangs_is_left_out_in_the_end(tmp_path):
    own = Stage(tmp_path, slots=1, candidates=3, retries=1)
    own.train()
    job = own.stage.start("b")
    own.hangs(job.name)
    own.stage.on_worker_lost("b", counts=True)
    assert own.said[-1] == "scores-1: its worker hung, and another goes on"
    assert own.stage.start("c").name == job.name
    own.stage.on_worker_lost("c", counts=True)
    assert own.stage.failure is None and "3 are left out" in own.said[-1]
    left_out = {network.key for network in job.batch}
    assert not left_out & {network.key for network in own.stage.start("d").batch}


def test_a_training_that_hangs_costs_one_attempt_and_the_last_one_is_told(tmp_path):
    own = Stage(tmp_path, retries=1)
    own.stage.start("a")
    own.hangs("supernet")
    own.stage.on_worker_lost("a", counts=True)
    assert own.stage.start("b").name == "supernet" and not own.stage.over
    own.hangs("supernet")
    own.stage.on_worker_lost("b", counts=True)
    assert own.stage.over and own.stage.failure.startswith("hung: no training step ended for 30 m")


def test_a_training_that_died_after_one_that_hung_did_not_hang(tmp_path):
    own = Stage(tmp_path, retries=1)
    own.stage.start("a")
    own.hangs("supernet")
    own.stage.on_worker_lost("a", counts=True)
    own.stage.start("b")
    own.stage.on_worker_lost("b", counts=True, cause="the node was low on memory")
    assert "low on memory" in own.stage.failure and "hung" not in own.stage.failure


def test_scoring_ends_with_its_seconds_and_networks_over_the_budget_are_no_scores(tmp_path):
    own = Stage(tmp_path, slots=2, seconds=2.5)
    own.train()
    own.stage.start("b")
    assert own.score("b", 3, dice=None)  # two slots: one second of wall time
    assert own.score("b", 3)
    assert not own.score("b", 3)
    own.stage.end("b")
    assert own.stage.over and len(own.scores) == 6


def test_its_seconds_are_the_searchs(tmp_path):
    own = Stage(tmp_path)
    own.stage.start("a")
    own.now = 60.0
    for epoch in range(1, EPOCHS + 1):
        own.epoch(epoch)
    own.stage.end("a")
    assert (own.time.elapsed, own.time.train_seconds) == (60.0, 15.0)


def test_a_damaged_record_is_refused(tmp_path):
    (tmp_path / "supernet").mkdir()
    (tmp_path / "supernet" / "record.json").write_text("{")
    with pytest.raises(UserError, match=r"record\.json is damaged"):
        SupernetRecord.read(tmp_path)
