"""Steps are chosen where they help by more than luck, on cases whose faults are known."""

import numpy as np
import pytest
from scipy.ndimage import binary_dilation

from tests.trainers.oracle import write
from trainers.postprocess.choose import choose
from trainers.postprocess.measure import SegmentedCase
from trainers.postprocess.priors import Prior, look_at, priors_of
from trainers.volumes.postprocess import LabelMap
from trainers.volumes.steps import Steps

CLASSES = ("background", "liver", "kidney")
MM = np.diag([1.0, 1.0, 2.0, 1.0])
SHAPE = (24, 24, 12)


def truth(shift=0):
    """A liver beside a kidney."""
    labels = np.zeros(SHAPE, np.uint8)
    labels[4 + shift : 12 + shift, 4:14, 3:9] = 1
    labels[12 + shift : 15 + shift, 4:14, 3:9] = 2
    return labels


def case(predicted, real, counted=None):
    maps = (LabelMap(labels, MM, CLASSES) for labels in (predicted, real))
    return SegmentedCase(*maps, counted)


def with_island(labels, value=1, at=(21, 21, 10)):
    changed = labels.copy()
    changed[tuple(slice(n, n + 2) for n in at)] = value
    return changed


def steps_of(cases, priors=None):
    return {name: one.steps for name, one in choose(cases, CLASSES, priors or {}).items()}


def test_islands_in_many_cases_are_taken_away_and_the_figures_are_right():
    cases = [case(with_island(truth(n)), truth(n)) for n in range(6)]
    chosen = choose(cases, CLASSES, {})
    liver, kidney = chosen["liver"], chosen["kidney"]
    assert liver.steps.components == 1 or liver.steps.opening_mm
    assert kidney.steps == Steps() and kidney.before == kidney.after
    assert (liver.after.dice, liver.after.hd95_mm) == (1, 0)
    assert liver.before.dice == pytest.approx(2 * 480 / (480 + 488))
    assert liver.before.hd95_mm == pytest.approx(np.mean([c.scores(1, Steps())[1] for c in cases]))


def test_distances_know_single_slices_from_parts_of_volumes():
    """A square that is a voxel smaller all around: 1 mm in a picture; of a plate 4% of the voxels
    are 1 mm away."""
    real = np.zeros((94, 94, 1), np.uint8)
    real[2:92, 2:92] = 1
    predicted = np.zeros_like(real)
    predicted[3:91, 3:91] = 1
    assert case(predicted, real).scores(1, Steps())[1] == 1
    thicker = (np.pad(labels, ((0, 0), (0, 0), (1, 1))) for labels in (predicted, real))
    assert case(*thicker).scores(1, Steps())[1] == 0


def test_what_helps_one_case_is_taken_where_it_harms_none():
    cases = [case(with_island(truth(n)) if n == 3 else truth(n), truth(n)) for n in range(6)]
    assert steps_of(cases)["liver"].components == 1


def test_what_helps_one_case_and_harms_another_is_luck():
    """Some volume that is missing in one case's truth is there in another's."""
    real = [with_island(truth(n)) if n == 2 else truth(n) for n in range(6)]
    cases = [case(with_island(truth(n)) if n in (2, 3) else one, one) for n, one in enumerate(real)]
    assert steps_of(cases)["liver"] == Steps()


@pytest.mark.parametrize(("count", "chosen"), [(4, False), (5, True)])
def test_few_cases_tell_nothing_apart_from_luck(count, chosen):
    cases = [case(with_island(truth(n)), truth(n)) for n in range(count)]
    assert bool(steps_of(cases)["liver"].used()) is chosen


def test_what_costs_dice_is_left_out():
    """A class of two parts: islands go with the largest component, but so does the smaller part."""
    real = [with_island(truth(n), at=(20, 3, 2)) for n in range(6)]
    cases = [case(with_island(one), one) for one in real]
    chosen = choose(cases, CLASSES, {})["liver"]
    assert chosen.steps.components != 1
    assert chosen.after.dice >= chosen.before.dice - 0.002


@pytest.mark.parametrize("mm", [0.7421875, 1 / 3])  # as of CT and MRI
def test_a_radius_of_a_voxel_reaches_the_next_one(mm):
    """A beam that is a ball of that radius wherever it is cut, and a line of voxels beside it."""
    real = np.zeros((16, 16, 16), bool)
    real[4, 4, 3:11] = True
    real = binary_dilation(real)
    predicted = real.copy()
    predicted[4, 6:14, 6] = True
    place = np.diag([mm, mm, mm, 1.0])
    maps = [LabelMap(labels.astype(np.uint8), place, CLASSES) for labels in (predicted, real)]
    chosen = choose([SegmentedCase(*maps, None)] * 5, CLASSES, {})["liver"]
    assert chosen.steps == Steps(opening_mm=pytest.approx(mm, abs=1e-6))
    assert chosen.after.dice == 1


def test_a_class_without_a_voxel_is_fine():
    nothing = np.zeros(SHAPE, np.uint8)
    cases = [case(nothing, nothing)] * 4 + [case(nothing, truth())]
    chosen = choose(cases, CLASSES, {})
    for one in chosen.values():
        assert one.steps == Steps()
        assert one.before.dice == pytest.approx(4 / 5)
        diagonal = np.linalg.norm(np.array(SHAPE) * (1, 1, 2))
        assert one.before.hd95_mm == pytest.approx(1 / 5 * diagonal)


def test_a_false_find_is_worth_taking_away():
    """In cases without a liver a few voxels are called one; training labels have larger ones."""
    nothing = np.zeros(SHAPE, np.uint8)
    found = [case(with_island(nothing), nothing) for _ in range(6)]
    cases = [*found, *(case(truth(n), truth(n)) for n in range(6))]
    prior = Prior(components=1, volume_mm3=480.0, touches=(), places=())
    chosen = choose(cases, CLASSES, {"liver": prior})["liver"]
    assert chosen.steps == Steps(volume_mm3=480.0)
    assert (chosen.after.dice, chosen.after.hd95_mm) == (1, 0)


@pytest.mark.parametrize(("others", "taken"), [(300.0, True), (2000.0, False), (None, False)])
def test_a_case_is_measured_with_the_priors_of_others(others, taken):
    """Whose livers may all be larger: then the step would take away those of the cases."""

    def prior(mm3):
        return {"liver": Prior(components=1, volume_mm3=mm3, touches=(), places=())}

    nothing = np.zeros(SHAPE, np.uint8)
    found = [case(with_island(nothing), nothing) for _ in range(6)]
    cases = [*found, *(case(truth(n), truth(n)) for n in range(6))]
    unseen = [prior(others) if others else {}] * len(cases)
    chosen = choose(cases, CLASSES, prior(480.0), unseen=unseen)["liver"]
    assert chosen.steps.volume_mm3 == (480.0 if taken else 0.0)


def test_voxels_that_do_not_count_are_in_neither():
    labels = with_island(truth())
    counted = np.ones(SHAPE, bool)
    counted[20:, 20:, 9:] = False
    assert case(labels, truth(), counted).scores(1, Steps()) == (1, 0)
    assert case(labels, truth()).scores(1, Steps())[0] < 1


# What training labels say


@pytest.fixture
def labels(tmp_path):
    """Five files, whose livers have a stray voxel each."""
    for n in range(5):
        one = truth(n)
        one[0, 0, 0] = 1
        write(tmp_path / f"{n}.nii.gz", one, MM)
    return sorted(tmp_path.iterdir())


def learnt(labels, classes=CLASSES):
    return priors_of([look_at(path, classes, "sform") for path in labels], classes)


def test_priors_are_counts_volumes_neighbours_and_places(labels):
    priors = learnt(labels)
    liver, kidney = priors["liver"], priors["kidney"]
    assert (liver.components, kidney.components) == (1, 1)
    assert liver.volume_mm3 == pytest.approx(0.5 * 480 * 2)
    assert liver.touches == ("kidney",) and kidney.touches == ("liver",)
    (place,) = kidney.places
    assert place.of == "liver"
    assert place.low == place.high == pytest.approx((5.5, 0, 0), abs=0.06)


def test_places_are_as_exact_as_a_microscopes_voxels(tmp_path):
    for n in range(5):
        write(tmp_path / f"{n}.nii.gz", truth(n), np.diag([1e-3, 1e-3, 2e-3, 1.0]))
    (place,) = learnt(sorted(tmp_path.iterdir()))["kidney"].places
    for end in (place.low, place.high):
        assert end == pytest.approx((5.5e-3, 0, 0), abs=1e-6)


def test_two_classes_in_few_cases_together_say_nothing_of_each_other(labels):
    priors = learnt(labels[:4])
    assert priors["liver"].touches == () and priors["liver"].places == ()
    assert priors["liver"].components == 1


def test_a_class_in_no_label_has_no_prior(labels):
    assert "spleen" not in learnt(labels, (*CLASSES, "spleen"))


def test_a_large_false_find_away_from_its_neighbour_goes_by_a_prior(labels):
    """Larger than the kidney itself, so that the largest component would be the wrong one."""
    cases = []
    for n in range(6):
        predicted = truth(n)
        predicted[0:3, 0:24, :] = 2
        cases.append(case(predicted, truth(n)))
    without = choose(cases, CLASSES, {})["kidney"]
    chosen = choose(cases, CLASSES, learnt(labels))["kidney"]
    assert (chosen.after.dice, chosen.after.hd95_mm) == (1, 0)
    assert chosen.steps.touches or chosen.steps.places
    assert without.after.dice < 0.9
