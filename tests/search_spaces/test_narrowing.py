"""What of a space is left for a patch."""

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search_spaces.axes import axes_for
from search_spaces.baselines import Baseline
from search_spaces.fitting import fit, takes
from search_spaces.hybrid import Hybrid
from search_spaces.narrowing import left_out, narrow_to_patch
from search_spaces.registry import SPACES
from search_spaces.space import ArchitectureError, RandomTrial

HYBRID = SPACES["hybrid"]
LENGTHS = st.sampled_from([6, 8, 10, 12, 16, 24, 32, 40, 48, 64, 96, 128])
SPACINGS = st.sampled_from([0.5, 1.0, 1.5, 3.0, 5.0, 10.0])


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(list(SPACES)),
    st.tuples(LENGTHS, LENGTHS, LENGTHS),
    st.tuples(SPACINGS, SPACINGS, SPACINGS),
)
def test_every_network_that_is_left_takes_the_patch(name, patch, spacing):
    space = SPACES[name].on(axes_for(spacing, patch))
    try:
        restrict = narrow_to_patch(space, {}, patch)
    except ArchitectureError as error:
        points = [space.sample(RandomTrial(seed)) for seed in range(40)]
        assert not any(takes(point, patch) for point in points)
        [other] = re.findall(r"use a patch such as (\[.*\])", str(error))
        patch = tuple(json.loads(other))
        space = SPACES[name].on(axes_for(spacing, patch))
        restrict = narrow_to_patch(space, {}, patch)
    for seed in range(20):
        assert takes(space.sample(RandomTrial(seed), restrict), patch)


def test_the_patch_that_is_proposed_heeds_the_axes_of_the_data():
    spacing, patch = (1.0, 5.0, 5.0), (12, 28, 8)
    with pytest.raises(ArchitectureError, match=r"stride is 4 x 1 x 1; .* such as \[16, 28, 8\]"):
        narrow_to_patch(SPACES["lightmedseg"].on(axes_for(spacing, patch)), {}, patch)


def test_a_picture_is_no_pile_of_lines():
    """Its one slice is along the last axis, networks of the plane take them along the first."""
    spacing, patch = (1.0, 1.0, 999.0), (64, 64, 1)
    space = SPACES["apformer"].on(axes_for(spacing, patch))
    assert left_out(space, {}, narrow_to_patch(space, {}, patch)) == ["spatial_dims 2"]
    with pytest.raises(ArchitectureError, match=r"which here are lines; put the axis of one voxel"):
        narrow_to_patch(space, {"spatial_dims": (2,)}, patch)
    turned = SPACES["apformer"].on(axes_for(spacing[::-1], patch[::-1]))
    assert left_out(turned, {}, narrow_to_patch(turned, {}, patch[::-1])) == []


def test_no_more_goes_than_must():
    restrict = narrow_to_patch(HYBRID, {}, (32, 32, 32))
    assert left_out(HYBRID, {}, restrict) == ["levels 5"]  # stride 32 leaves a single voxel
    assert left_out(HYBRID, {}, narrow_to_patch(HYBRID, {}, (64, 64, 64))) == []


def test_a_restriction_leaves_other_knobs_to_give_way():
    restrict = narrow_to_patch(HYBRID, {"levels": (5,)}, (48, 48, 48))
    assert (restrict["levels"], restrict["stem_stride"]) == ((5,), (1,))
    with pytest.raises(ArchitectureError, match=r"the smallest stride is 32; use a patch such as"):
        narrow_to_patch(HYBRID, {"levels": (5,), "stem_stride": (2,)}, (48, 48, 48))


@pytest.mark.parametrize(
    ("patch", "levels", "stem_stride"),
    [
        ((64, 64, 64), 5, 2),
        ((32, 32, 32), 4, 2),
        ((48, 48, 32), 4, 2),
        ((40, 56, 40), 3, 2),
        ((12, 12, 12), 3, 1),
    ],
)
def test_a_network_is_moved_no_further_than_the_patch_asks(patch, levels, stem_stride):
    point = Hybrid(levels=5, width=16)
    fitted = fit(point, narrow_to_patch(HYBRID, {}, patch))
    assert fitted == Hybrid(levels=levels, stem_stride=stem_stride, width=16)


def test_a_network_whose_stride_no_number_lowers_becomes_another_kind():
    swin = Baseline(kind="swin-unetr", swin_width=12)
    restrict = narrow_to_patch(SPACES["baselines"], {}, (24, 24, 24))
    assert takes(fit(swin, restrict), (24, 24, 24))
