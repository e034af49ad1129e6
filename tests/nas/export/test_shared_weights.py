"""Of which networks a search shares weights, and what cannot."""

import json

import pytest
import torch

from nas.config.data_space import space_for
from nas.config.run_config import SpaceConfig
from nas.export.shared_weights import CHECKPOINT, FOLDER, SharedWeights, shareable
from search_spaces.baselines import SPACE as BASELINES
from search_spaces.hybrid import SPACE, Hybrid
from trainers.checkpoint import write_checkpoint
from trainers.errors import UserError

FEW = {
    "width": [4],
    "levels": [3],
    "token_stages": [0],
    "conv": ["standard"],
    "decoder": ["residual"],
    "anchors": [0],
}


def within(spacing=(1.0, 1.0, 1.0), **restrict):
    config = SpaceConfig(name="hybrid", restrict={**FEW, **restrict})
    return space_for(config, spacing, (32, 32, 32))


def shared_of(space, search, channels=1):
    file = search / FOLDER / CHECKPOINT
    sizes = ((4, 1.0, 3), (4, 1.5, 3))
    return SharedWeights(space.space, space.restrict, channels, 3, file, sizes)


def test_what_cannot_share_weights_is_left_out_and_told():
    space = shareable(within())
    assert space.restrict["norm"] == ("instance", "group")
    assert space.told[-1].startswith(
        "Left out, for search.strategy = supernet: norm batch (its run"
    )
    only = within(norm=["instance"], residual=[True], stem_stride=[2])
    assert shareable(only) is only


def test_what_would_share_nothing_is_left_out_unless_it_is_named():
    space = shareable(within(norm=["instance"]))
    assert (space.restrict["stem_stride"], space.restrict["residual"]) == ((2,), (True,))
    assert "stem_stride 1, residual False (they share no weights" in space.told[-1]
    asked = within(norm=["instance"], residual=[True, False], stem_stride=[1])
    assert shareable(asked) is asked


def test_a_knob_without_an_option_left_is_refused():
    with pytest.raises(UserError, match=r"space\.restrict\.norm = \['batch'\].*strategy=train"):
        shareable(within(norm=["batch"]))


def test_another_process_reads_of_which_networks_they_are(tmp_path):
    space = shareable(within(spacing=(5.0, 1.0, 1.0)))
    shared = shared_of(space, tmp_path, channels=2)
    shared.write()
    built = shared.build(seed=5)
    write_checkpoint(shared.file, {"weights": built.state_dict()})
    again = SharedWeights.read(tmp_path)
    assert again == shared and again.space.axes.starts != (0, 0, 0)
    network = again.space.sample(_First(), {**again.restrict, "growth": (1.5,)})
    expected, found = (one.cut(network).state_dict() for one in (built, again.open()))
    for name, weight in expected.items():
        torch.testing.assert_close(found[name], weight)


def test_weights_of_another_supernet_are_refused(tmp_path):
    shared = SharedWeights(SPACE, within().restrict | {"norm": ("instance",)}, 1, 3, tmp_path / "a")
    write_checkpoint(shared.file, {"weights": {"other": torch.zeros(1)}})
    with pytest.raises(UserError, match="weights of another supernet"):
        shared.open()
    assert shared.knows(Hybrid()) and not shared.knows(BASELINES.presets()["unet-s"])


@pytest.mark.parametrize("damage", [{"classes": "many"}, {"axes": 3}, {"space": None}])
def test_a_damaged_record_is_refused(tmp_path, damage):
    shared = shared_of(shareable(within()), tmp_path)
    shared.write()
    file = shared.file.with_name("space.json")
    file.write_text(json.dumps({**json.loads(file.read_text()), **damage}))
    with pytest.raises(UserError, match=r"space\.json"):
        SharedWeights.read(tmp_path)


class _First:
    def suggest_categorical(self, name, choices):
        return choices[0]
