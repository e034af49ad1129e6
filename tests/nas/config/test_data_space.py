import pytest

from nas.config.data_space import space_for
from nas.config.run_config import SpaceConfig
from search_spaces.axes import ALIKE
from search_spaces.fitting import takes
from search_spaces.space import RandomTrial
from trainers.errors import UserError

PLAIN = {"levels": [3], "stem_stride": [2], "token_stages": [0]}


def within(patch, voxel_size=None, **space):
    return space_for(SpaceConfig.model_validate(space), voxel_size, patch)


def refused(patch, **space):
    with pytest.raises(UserError) as error:
        within(patch, **space)
    return str(error.value)


def test_a_patch_that_takes_every_network_restricts_nothing():
    found = within((64, 64, 64))
    assert found.told == ()
    assert set(found.restrict["levels"]) == {3, 4, 5}


def test_a_patch_that_no_network_takes_is_refused_with_one_that_some_take():
    message = refused((50, 50, 50), restrict=PLAIN)
    assert "train.patch = [50, 50, 50]" in message
    assert "stride is 8" in message
    assert "[48, 48, 48]" in message
    assert within((48, 48, 48), restrict=PLAIN)


def test_a_patch_of_one_voxel_at_the_deepest_level_is_refused():
    assert "such as [16, 16, 16]" in refused((8, 8, 8), restrict=PLAIN)


def test_networks_that_the_patch_does_not_suit_are_left_out_and_told():
    """Levels 3 to 5, stem stride 1 or 2: strides 4 to 32."""
    found = within((48, 48, 48))
    assert found.told == ("Left out, for train.patch = [48, 48, 48]: levels 5",)
    points = [found.space.sample(RandomTrial(seed), found.restrict) for seed in range(30)]
    assert all(takes(point, (48, 48, 48)) for point in points)
    assert {point.stride() for point in points} == {4, 8, 16}


def test_a_network_of_slices_asks_nothing_of_their_number():
    plane = {"name": "apformer", "restrict": {"spatial_dims": [2], "levels": [4]}}  # stride 8
    assert within((5, 32, 40), **plane)
    assert "stride is 8" in refused((5, 36, 36), **plane)


def test_a_slab_of_thick_slices_keeps_the_whole_space():
    """8 slices of 10 mm, which no network took while all axes had one stride."""
    found = within((128, 128, 8), (1.5, 1.5, 10.0))
    assert found.told == (
        "Axis 2 has voxels of 10 mm: networks do not halve it in their first 2 steps, nor do their "
        "convolutions reach along it",
    )
    points = [found.space.sample(RandomTrial(seed), found.restrict) for seed in range(60)]
    assert {point.levels for point in points} == {3, 4, 5}
    assert all(takes(point, (128, 128, 8)) for point in points)
    assert all(point.strides()[2] < point.strides()[0] for point in points)


def test_axes_can_be_treated_alike_on_request():
    found = within((128, 128, 8), (1.5, 1.5, 10.0), axes="isotropic")
    assert found.space.axes == ALIKE
    points = [found.space.sample(RandomTrial(seed), found.restrict) for seed in range(20)]
    assert all(len(set(point.strides())) == 1 for point in points)


def test_equal_voxels_give_networks_and_keys_of_old():
    found = within((40, 56, 40), (1.0, 1.0, 1.0))
    point = found.space.sample(RandomTrial(0), found.restrict)
    assert "axes" not in point.to_json()
    assert point.key == type(point).from_json(point.to_json()).key
