"""Candidates that begin with weights which they share."""

from pathlib import Path

import pytest
import torch

from nas.engine.fine_tune import FineTune
from nas.engine.testing import SMALL, SMALLER, TRAIN, EvaluatorContract, evaluate
from nas.export.shared_weights import SharedWeights
from search_spaces.baselines import SPACE as BASELINES
from search_spaces.hybrid import SPACE
from trainers.checkpoint import read_checkpoint, write_checkpoint

RESTRICT = {
    "width": (4, 8),
    "norm": ("instance",),
    "levels": (3,),
    "token_stages": (0,),
    "conv": ("standard",),
    "anchors": (0,),
}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> SharedWeights:
    """A supernet that was not trained: its weights are as good as any to begin with."""
    file = tmp_path_factory.mktemp("search") / "supernet" / "supernet.pt"
    shared = SharedWeights(SPACE, RESTRICT, channels=1, classes=4, file=file)
    write_checkpoint(file, {"weights": shared.build(seed=7).state_dict()})
    return shared


class TestFineTune(EvaluatorContract):
    @pytest.fixture(autouse=True)
    def _shared(self, shared: SharedWeights) -> None:
        self.shared = shared

    def make(self, train, seed, device):
        return FineTune(train, seed, device, shared=self.shared, whole=train)

    def test_a_candidate_begins_with_its_part_of_the_shared_weights(self, begin, volumes):
        cut = self.shared.open().cut(SMALL)
        first = begin().network(SMALL, 1, 4)
        for name, weight in cut.state_dict().items():
            torch.testing.assert_close(first.state_dict()[name], weight, rtol=0, atol=0)
        fresh = SMALL.build(1, 4).state_dict()
        assert any(not torch.equal(fresh[name], w) for name, w in cut.state_dict().items())

    def test_a_network_of_another_space_is_trained_whole_from_new_weights(
        self, begin, tmp_path: Path
    ):
        evaluator = begin()
        evaluator.whole = TRAIN.model_copy(update={"epochs": 3})
        baseline = BASELINES.presets()["unet-s"]
        reports = evaluate(evaluator, baseline, tmp_path / "unet.pt")
        assert [report.epoch for report in reports] == [1, 2, 3]
        assert len(evaluate(evaluator, SMALLER, tmp_path / "own.pt")) == TRAIN.epochs

    def test_training_changes_them(self, begin, tmp_path: Path):
        evaluate(begin(), SMALLER, tmp_path / "one.pt")
        after, before = read_checkpoint(tmp_path / "one.pt")["weights"], self.shared.open()
        cut = before.cut(SMALLER).state_dict()
        assert any(not torch.equal(after[name], weight) for name, weight in cut.items())
