"""Each rule of a plan alone, on numbers worked out by hand."""

import math
import re
from dataclasses import replace

import numpy as np
import pytest

from nas.analysis.plan.batch import choose_batch
from nas.analysis.plan.choice import coarse
from nas.analysis.plan.deadline import Deadline, default_hours, step_seconds
from nas.analysis.plan.groups import choose_groups
from nas.analysis.plan.intensity import ct_window, is_ct
from nas.analysis.plan.limits import choose_limits
from nas.analysis.plan.machine import MachineFacts
from nas.analysis.plan.networks import PLAIN, TYPICAL, presets_on, restrictions, space_on
from nas.analysis.plan.patch import choose_patch
from nas.analysis.plan.plan_step import voxels_within
from nas.analysis.plan.schedule import Pace, choose_length
from nas.analysis.plan.spacing import choose_spacing
from nas.analysis.plan.split import choose_split
from nas.analysis.preview.time_candidates import Timing
from search_spaces.axes import axes_for
from trainers.data.check.facts import CaseFacts
from trainers.data.config import Groups
from trainers.errors import UserError

GIB = 2**30
LAPTOP = MachineFacts(cores=2, memory=16 * GIB)
WORKSTATION = MachineFacts(cores=16, memory=128 * GIB, gpus=1, gpu_memory=80 * GIB)


def case(low: float, high: float) -> CaseFacts:
    return CaseFacts(
        name="a", shape=(1, 1, 1), voxel_size=(1, 1, 1), voxels=(1, 0), image="", label="",
        intensities=((low, low, 0.0, high, high),),
    )  # fmt: skip


# Spacing


def test_one_spacing_is_kept():
    spacings = np.array([[1.5, 1.5, 10.0]] * 4)
    assert choose_spacing(spacings, np.full((4, 3), 100.0)).value == "native"


def test_several_spacings_become_their_median():
    spacings = np.array([[1.0, 1.0, 2.0], [1.2, 1.0, 2.0], [1.4, 1.0, 2.5]])
    assert choose_spacing(spacings, np.full((3, 3), 100.0)).value == (1.2, 1.0, 2.0)


LONG = np.array([[1.0, 1.0, z] for z in range(4, 15)])  # 4 to 14 mm: tenth percentile 5, median 9


def test_long_voxels_become_the_tenth_percentile():
    assert choose_spacing(LONG, np.array([[200.0, 200.0, 20.0]] * 11)).value == (1.0, 1.0, 5.0)


def test_not_where_there_are_as_many_of_them():
    assert choose_spacing(LONG, np.array([[50.0, 50.0, 20.0]] * 11)).value == (1.0, 1.0, 9.0)


def test_never_finer_than_the_other_axes():
    spacings = np.array([[1.0, 1.0, z] for z in (0.5, 0.5, 0.5, 4.0, 4.0, 4.0, 4.0)])
    assert choose_spacing(spacings, np.array([[200.0, 200.0, 20.0]] * 7)).value == (1.0, 1.0, 1.0)


# Patch


def test_a_small_volume_is_its_own_patch():
    chosen = choose_patch((35, 50, 36), (1, 1, 1), 1e6, "time")
    assert chosen.value == (40, 56, 40)
    assert "nearly all" in chosen.why


def test_a_volume_that_is_a_little_too_large_is_taken_at_once():
    assert choose_patch((35, 50, 36), (1, 1, 1), 5e4, "", 1e5).value == (40, 56, 40)
    assert choose_patch((35, 50, 36), (1, 1, 1), 4e4, "", 8e4).value == (24, 40, 32)


def test_a_tiny_volume_is_padded_to_what_networks_take():
    assert choose_patch((5, 7, 9), (1, 1, 1), 1e6, "").value == (8, 8, 12)


@pytest.mark.parametrize(
    ("shape", "spacing", "expected"),
    [
        ((12, 12, 6), (1, 1, 5), (16, 12, 6)),  # one of the finest axes is halved twice
        ((8, 6, 17), (0.3, 0.5, 5), (16, 6, 17)),
        ((10, 1, 2), (2.5, 10, 0.3), (10, 1, 16)),
    ],
)
def test_so_is_one_whose_axes_differ(shape, spacing, expected):
    patch = choose_patch(shape, spacing, 1e6, "").value
    assert patch == expected
    assert presets_on([TYPICAL], space_on(spacing, patch))


def test_the_patch_of_slices_stays_thin():
    assert choose_patch((223, 256, 9), (1.5, 1.5, 10), 1e6, "").value == (224, 256, 10)
    assert choose_patch((223, 256, 9), (1.5, 1.5, 10), 5e4, "").value[2] == 10


@pytest.mark.parametrize("voxels", [4e4, 1e5, 3e5, 1e6, 3e6])
@pytest.mark.parametrize(
    ("shape", "spacing"),
    [
        ((223.0, 256.0, 9.0), (1.5, 1.5, 10.0)),
        ((121.0, 66.0, 110.0), (3.9, 3.9, 2.5)),
        ((512.0, 512.0, 90.0), (0.8, 0.8, 5.0)),
        ((140.0, 170.0, 138.0), (1.0, 1.0, 1.0)),
    ],
)
def test_a_shrunk_patch_keeps_the_limit_the_aspect_and_the_strides(shape, spacing, voxels):
    chosen = choose_patch(shape, spacing, voxels, "too slow")
    patch = chosen.value
    assert math.prod(patch) <= voxels or patch == choose_patch(shape, spacing, 1e9, "").value
    assert all(length < median + 16 for length, median in zip(patch, shape, strict=True))
    shares = sorted(length / n for length, n in zip(patch, shape, strict=True) if length > 16)
    assert shares[-1] / shares[0] < 1.6
    strides = axes_for(spacing, patch).between(0, 3)
    assert not any(length % stride for length, stride in zip(patch, strides, strict=True))
    assert axes_for(spacing, patch).halving(3)


def test_a_patch_that_was_shrunk_says_why():
    assert "too slow" in choose_patch((140, 170, 138), (1, 1, 1), 1e5, "too slow").why


# Intensities


@pytest.mark.parametrize(
    ("name", "low", "high", "expected"),
    [
        ("CT", 0, 1, True),
        ("CBCT", -1000, 2000, True),
        ("ct_portal", 0, 100, True),
        ("MRI", -1024, 3000, False),
        ("T2", -1024, 3000, False),
        ("PET", -1024, 3000, False),
        ("image", -1024, 3000, True),
        ("image", 0, 3000, False),
        ("ACT", 0, 100, False),
        ("nonCT", -1024, 3000, False),
        ("noCT", -1024, 3000, False),
        ("PET-CT", 0, 100, True),
    ],
)
def test_what_is_ct(name, low, high, expected):
    assert is_ct(name, 0, [case(low, high)] * 3) is expected


def test_the_window_holds_99_percent_of_the_labelled_voxels():
    assert ct_window(np.linspace(-100, 900, 1001)) == (-95.0, 895.0)


def test_a_window_is_never_empty():
    assert ct_window(np.zeros(10)) == (0.0, 5.0)


# Groups


@pytest.mark.parametrize(
    ("names", "groups", "size"),
    [
        ([f"acdc_{p:03}_{f:02}" for p in range(30) for f in (1, 2)], 30, 2),
        ([f"patient{p:03}_frame{f:02}" for p in range(20) for f in (1, 7)], 20, 2),
        ([f"BraTS-GLI-{p:05}-{s:03}" for p in range(12) for s in range(2)], 12, 2),
        ([f"sub-{p:02}_ses-{s}_T1w" for p in range(10) for s in (1, 2, 3)], 10, 3),
        ([f"case_{p:05}_{c:04}" for p in range(9) for c in (0, 1)], 9, 2),
        ([f"{p}_{side}" for p in range(100, 120) for side in ("left", "right")], 20, 2),
        ([f"TCGA-{p % 3:02}-{p:04}_{s}" for p in range(30) for s in (1, 2)], 30, 2),
    ],
)
def test_names_that_suggest_patients(names, groups, size):
    found = choose_groups(names).value
    assert found is not None
    keys = [re.search(found.pattern, name)[1] for name in names]
    assert len(set(keys)) == groups
    assert keys.count(keys[0]) == size


@pytest.mark.parametrize(
    "names",
    [
        [f"hippocampus_{n:03}" for n in range(200)],
        [f"kbp_{n:03}" for n in range(100)],
        [f"IBSR_{n:02}" for n in range(1, 11)],
        [f"BraTS20_Training_{n:03}" for n in range(50)],  # 20 is no patient
        [f"site{n % 2}_{n:03}" for n in range(50)],  # two sites
        [f"case_{n:05}_0000" for n in range(50)],
        ["a", "b", "c"],
        ["only"],
    ],
)
def test_names_that_suggest_none(names):
    chosen = choose_groups(names)
    assert chosen.value is None
    assert "pattern" in chosen.why


# Split


def test_many_cases_leave_a_test_part():
    split = choose_split([str(n) for n in range(30)], None).value
    assert (split.validation, split.test) == (0.2, 0.15)


def test_few_patients_leave_none_however_many_cases():
    names = [f"p{n:02}_{f}" for n in range(20) for f in (1, 2)]
    assert choose_split(names, Groups(pattern=r"(p\d+)_")).value.test == 0


def test_one_case_is_refused():
    with pytest.raises(UserError, match="1 case cannot be split"):
        choose_split(["a"], None)


# Machine and time


def test_a_trial_gets_one_core_and_half_of_a_large_gpu():
    assert (LAPTOP.resources.cpus, LAPTOP.resources.gpus) == (1, 0)
    assert (WORKSTATION.resources.cpus, WORKSTATION.resources.gpus) == (1, 0.5)
    assert MachineFacts(16, 64 * GIB, 1, 8 * GIB).resources.gpus == 1
    measured = replace(WORKSTATION, gpu_trials=8)
    assert measured.resources.gpus == 0.125
    assert measured.trial_memory == pytest.approx(0.7 * 10 * GIB)


def test_hours_by_default():
    assert (default_hours(LAPTOP), default_hours(WORKSTATION)) == (0.75, 4.0)


def test_a_short_deadline_wants_short_steps():
    short, long = (step_seconds(Deadline(h, 60), LAPTOP, 2) for h in (0.2, 0.75))
    assert 0.1 <= short < long < 1.0
    assert step_seconds(Deadline(24, 60), LAPTOP, 2) == 1.0


@pytest.mark.parametrize(("by_time", "voxels"), [(1e5, 187_500), (2e5, 64**3), (5e5, 5e5)])
def test_small_patches_are_worth_some_candidates(by_time, voxels):
    assert voxels_within(0.2, 0.2 / by_time) == pytest.approx(voxels)


def test_what_is_measured_is_told_on_a_ladder():
    assert [coarse(value) for value in (0.33, 0.0081, 1.9, 1.0, 880)] == [0.3, 0.007, 2, 1, 1000]


def test_limits_are_multiples_of_what_the_typical_network_takes():
    limits = choose_limits("typical", 4e8, 100 * 2**20, LAPTOP)
    assert limits.macs.value == 1e9
    assert limits.memory.value == "300MiB"
    assert limits.budget.memory == 300 * 2**20


def test_the_memory_of_the_machine_limits_first():
    small = MachineFacts(cores=4, memory=4 * GIB)  # 0.7 of 1 GiB each
    assert choose_limits("typical", 4e8, GIB, small).memory.value == "700MiB"


def test_a_cpu_trains_two_patches_a_step():
    assert choose_batch(LAPTOP, 10**5, 10**9, GIB, 10.0).value == 2


def test_a_gpu_trains_as_many_as_time_memory_and_data_allow():
    assert choose_batch(WORKSTATION, 10**5, 10**9, GIB, 10.0).value == 8
    assert choose_batch(WORKSTATION, 10**5, 10**9, GIB, 2.5).value == 4
    assert choose_batch(WORKSTATION, 10**5, 10**9, 20 * GIB, 10.0).value == 2
    assert choose_batch(WORKSTATION, 10**5, 10**7, GIB, 10.0).value == 4


# Length of the trainings


def length(step: float, window: float, seconds: float, windows: int = 40):
    return choose_length(Pace(Timing(step, window), windows, 0.0, 2), seconds)


def test_time_enough_is_shared_by_steps_and_candidates():
    chosen = length(0.1, 0.02, 2000)
    assert chosen.candidates >= 30
    assert chosen.epochs * chosen.steps >= 450
    # 5/9 of 9 epochs of `steps` steps of 0.1 s, a validation of 0.8 s, 0.15 s for each epoch
    each = 0.5 + 9 * (0.1 * chosen.steps + 0.15) + 9 * 0.8
    assert chosen.candidates == pytest.approx(2 * 2000 / (each * 5 / 9))


def test_much_time_trains_longer_and_compares_twice():
    chosen = length(0.05, 0.01, 40_000)
    assert chosen.epochs == 27
    ends = chosen.schedule(1, Pace(Timing(0.05, 0.01), 40, 0.0, 2)).mean_end
    assert ends == pytest.approx(2 / 3 * 3 / 27 + 2 / 9 * 9 / 27 + 1 / 9)


def test_with_less_time_candidates_give_way_and_then_steps():
    less, little, least = (length(0.5, 0.05, seconds) for seconds in (1500, 1000, 50))
    assert 16 <= less.candidates < 30
    assert 10 <= little.candidates < 16
    assert all(each.epochs * each.steps >= 450 for each in (less, little))
    assert least.steps == 20


def test_a_slow_validation_is_made_seldom_and_a_very_slow_one_once():
    assert length(0.1, 0.001, 2000).validate_every == 1
    assert length(0.1, 0.1, 2000).validate_every == 3
    once = length(0.1, 2.0, 2000, windows=100)
    assert (once.validate_every, once.early_stopping) == (once.epochs, None)


def test_few_candidates_are_kept_to_the_plain_parts():
    assert set(restrictions(30)) == set(PLAIN)
    assert restrictions(100) == {}
