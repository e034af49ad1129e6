"""Axes that differ: which of them a network halves, at which step."""

import pytest
import torch

from search_spaces.apformer import APFormer
from search_spaces.axes import ALIKE, Axes, AxesError, axes_for
from search_spaces.hybrid import Hybrid
from search_spaces.registry import SPACES, all_presets, architecture_record, load_architecture
from search_spaces.space import ArchitectureError, AxialArchitecture, RandomTrial

SLABS = axes_for((10.0, 1.5, 1.5), (16, 128, 128))  # cardiac MRI, as it often is


def test_thick_slices_wait_until_the_others_have_caught_up():
    """1.5 mm becomes 3, then 6, of which 10 mm is less than twice as much."""
    assert SLABS.starts == (2, 0, 0)
    assert [SLABS.step(index) for index in range(4)] == [(1, 2, 2), (1, 2, 2), (2, 2, 2), (2, 2, 2)]
    assert [SLABS.kernel(resolution)[0] for resolution in range(4)] == [1, 1, 3, 3]
    assert SLABS.between(0, 4) == (4, 16, 16)


@pytest.mark.parametrize(
    ("ratio", "wait"), [(1.0, 0), (2.0, 0), (2.1, 1), (4.0, 1), (4.1, 2), (8.0, 2), (8.1, 3)]
)
def test_an_axis_is_halved_once_its_voxels_are_at_most_twice_as_long(ratio, wait):
    assert axes_for((1.0, ratio, 1.0), (64, 64, 64)).starts == (0, wait, 0)


def test_an_axis_is_halved_no_further_than_it_can_be():
    assert axes_for(None, (48, 20, 7)).stops == (4, 2, 0)
    assert axes_for((1.0, 1.0, 5.0), (64, 48, 12)).stops == (4, 3, 3)  # at least 4 voxels are left


def test_equal_axes_are_what_they_always_were():
    assert axes_for((1.0, 1.1, 0.9), (64, 64, 64)).canonical(5) == ALIKE
    assert Hybrid().with_axes(axes_for(None, (64, 64, 64))).key == Hybrid().key
    for preset in all_presets().values():
        assert "axes" not in preset.to_json()


def test_a_record_says_what_its_weights_depend_on():
    point = Hybrid().with_axes(SLABS)
    record = architecture_record(point)
    assert record["architecture"]["axes"] == {"starts": [2, 0, 0], "stops": [4, 5, 5]}
    assert point.key != Hybrid().key
    assert load_architecture(record) == point
    assert point.canonical().to_json()["axes"] == {"starts": [2, 0, 0], "stops": [3, 3, 3]}


def test_what_no_step_of_the_network_reaches_changes_no_key():
    deeper, shallower = Axes((1, 0, 0), (3, 5, 5)), Axes((1, 0, 0), (7, 3, 4))
    assert Hybrid().steps == 3
    assert Hybrid().with_axes(deeper).key == Hybrid().with_axes(shallower).key


@pytest.mark.parametrize(
    "axes",
    [
        {"starts": [0, 0]},
        {"starts": [0, 0, 0], "stops": [1, 2]},
        {"starts": [0, 0, -1], "stops": [1, 1, 1]},
        {"starts": [0, 0, True], "stops": [1, 1, 1]},
        {"starts": "000", "stops": [1, 1, 1]},
        [0, 0, 0],
    ],
)
def test_axes_that_say_nothing_are_refused(axes):
    with pytest.raises(ArchitectureError, match="axes"):
        Hybrid.from_json({**Hybrid().to_json(), "axes": axes})
    with pytest.raises(AxesError):
        Axes.from_json(axes)


@pytest.mark.parametrize("name", list(SPACES))
def test_every_space_heeds_the_axes(name):
    space = SPACES[name].on(axes_for((10.0, 1.0, 1.0), (4, 64, 64)))
    assert issubclass(space.kind, AxialArchitecture)
    for seed in range(20):
        *first, last = space.sample(RandomTrial(seed)).strides()
        assert first[0] < last or len(first) == 1


def test_a_network_of_slices_has_the_axes_of_the_plane():
    point = APFormer().with_axes(axes_for((10.0, 1.0, 3.0), (7, 64, 64)))
    assert point.own_axes.starts == (0, 1)
    assert point.strides() == (8, 4)
    network = point.build(1, 2).eval()
    with torch.no_grad():
        assert network(torch.zeros(1, 1, 5, 16, 16)).shape == (1, 2, 5, 16, 16)


def test_convolutions_do_not_mix_slices_that_still_wait():
    """A network of waiting levels alone segments every slice by itself."""
    torch.manual_seed(0)
    point = Hybrid(levels=3, refine=8, norm="batch").with_axes(Axes((4, 0, 0), (4, 32, 32)))
    network = point.build(1, 2).eval()
    x = torch.randn(1, 1, 4, 16, 16)
    changed = x.clone()
    changed[:, :, 2] += 1
    with torch.no_grad():
        moved = (network(x) - network(changed)).abs().amax((0, 1, 3, 4))
    assert moved[2] > 0
    assert moved[[0, 1, 3]].max() == 0


def test_the_finer_axis_of_a_plane_waits_for_none():
    point = APFormer().with_axes(axes_for((1.0, 5.0, 40.0), (4, 64, 64)))
    assert point.own_axes.starts == (0, 3)
    assert point.canonical().key == point.with_axes(point.own_axes).key
    assert point.strides() == (8, 1)


def test_an_axis_of_a_plane_may_have_stopped_before_the_others_began():
    point = APFormer().with_axes(Axes((1, 2, 2), (3, 0, 4)))
    assert point.strides() == (1, 4)
    assert point.canonical().canonical() == point.canonical()
