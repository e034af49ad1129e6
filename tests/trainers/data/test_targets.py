"""Regions and a label to ignore: how they are said, what is refused, what is prepared of them."""

import json

import numpy as np
import pytest
from pydantic import TypeAdapter

from tests.trainers.data.tumours import CLASSES, IGNORE, KEYS, REGIONS, TARGETS, write_tumours
from tests.trainers.data.volumes import write_msd, write_nifti
from trainers.config import TrainConfig
from trainers.data.cache import VolumeCache
from trainers.data.config import Preprocess
from trainers.data.msd import MsdData, read_msd
from trainers.data.open_source import open_source
from trainers.data.patches import PatchSampler
from trainers.data.prepare import prepare_data
from trainers.data.registry import DataConfig
from trainers.data.targets import configured_targets, nnunet_targets
from trainers.data.task import Task
from trainers.errors import UserError
from trainers.volumes.targets import Region, Targets

PLAIN = Targets(CLASSES)
NATIVE = Preprocess(spacing="native", crop="none")


def configured(regions=None, order=(), ignore=None, own=PLAIN):
    return configured_targets(own, regions or {}, order, ignore, "dataset.json")


def test_regions_by_value_and_by_name():
    assert configured(KEYS, ignore=IGNORE) == TARGETS
    named = {"WT": ["edema", "necrosis", 3], "TC": ["necrosis", "enhancing"], "ET": ["enhancing"]}
    assert configured(named, ignore=IGNORE) == TARGETS
    assert configured() == PLAIN


def test_the_values_of_a_label_map_can_be_said():
    one = {"ET": [3], "WT": [1, 2, 3]}  # the whole tumour has two labels of its own
    found = configured(one, order=("enhancing", 2)).regions
    assert found == (Region("ET", (3,), 3), Region("WT", (1, 2, 3), 2))


@pytest.mark.parametrize("ignore", [3, "enhancing"])
def test_the_last_class_can_be_the_one_to_ignore(ignore):
    assert configured(ignore=ignore) == Targets(CLASSES[:3], (), 3)


def test_a_source_that_knows_its_regions_keeps_them():
    assert configured(own=TARGETS) == TARGETS
    assert configured(own=TARGETS, ignore=255) == Targets(CLASSES, REGIONS, 255)
    assert configured({"ET": [3]}, own=TARGETS).regions == (Region("ET", (3,), 3),)
    with pytest.raises(UserError, match=r"regions\.WT = \[1, 2, 3\]; expected"):
        configured(own=Targets(CLASSES, REGIONS), ignore=3)


@pytest.mark.parametrize(
    ("regions", "order", "ignore", "told"),
    [
        ({"WT": [1, 4]}, (), None, r"regions\.WT = \[1, 4\]; expected different labels, of which"),
        ({"WT": [0, 1]}, (), None, r"dataset\.json has 1 \(edema\), 2 \(necrosis\)"),
        ({"WT": []}, (), None, r"regions\.WT = \[\]"),
        ({"WT": [1, 1]}, (), None, "different labels"),
        (
            {"WT": ["core"]},
            (),
            None,
            r"regions\.WT: 'core' is no class; dataset\.json has 0 \(back",
        ),
        ({"WT": [1, IGNORE]}, (), IGNORE, r"regions\.WT = \[1, 9\]"),
        ({"WT": [1, 2, 3], "ET": [3]}, (), None, "WT has 2 labels of its own beside the regions"),
        ({"ET": [3], "TC": [2, 3], "A": [3]}, (), None, "ET has no label of its own"),
        (KEYS, (1, 2), None, "regions_class_order has 2 values for 3 regions"),
        (KEYS, (1, 1, 3), None, r"has 1 for TC, which is of the labels \[2, 3\]"),
        ({}, (1,), None, "regions_class_order stands without data.regions"),
        ({}, (), 1, "ignore = 1: expected the last class of dataset.json, or a value over 3"),
        ({}, (), 0, "ignore = 0"),
        ({}, (), -1, "ignore = -1"),
        ({}, (), 2**16, "up to 65535"),
        ({}, (), "nobody", "data.ignore: 'nobody' is no class"),
    ],
)
def test_what_cannot_be_learnt_is_refused(regions, order, ignore, told):
    with pytest.raises(UserError, match=told):
        configured(regions, order, ignore)


def test_nothing_but_background_is_not_left():
    with pytest.raises(UserError, match="ignore = 1 leaves no class"):
        configured(ignore=1, own=Targets(("background", "a")))


# As nnU-Net says it


def test_labels_of_nnunet():
    plain = {"background": 0, "b": 2, "a": 1, "ignore": 3}
    assert nnunet_targets(plain, (), "dataset.json") == Targets(("background", "a", "b"), (), 3)
    brats = {
        "background": 0,
        "whole_tumor": [1, 2, 3],
        "tumor_core": [2, 3],
        "enhancing": 3,
        "ignore": 4,
    }
    found = nnunet_targets(brats, [1, 2, 3], "dataset.json")
    assert found.classes == ("background", "label 1", "label 2", "label 3")
    assert found.names == ("whole_tumor", "tumor_core", "enhancing")
    assert [region.value for region in found.regions] == [1, 2, 3] and found.ignore == 4


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        ({"a": 1}, 'labels has no "background": 0'),
        ({"background": 0, "a": 1, "ignore": 3}, r"labels\.ignore is 3; expected 2"),
        ({"background": 0, "a": 2}, r"labels has 2 \(a\); expected 1, 2"),
        ({"background": 0, "a": 1, "b": 1}, r"labels has 1 \(a\), 1 \(b\); expected 1, 2"),
        ({"background": 0, "a": [1, 2], "b": []}, r"labels has \[\] for b; expected a number"),
        ({"background": 0, "a": "1"}, "labels has '1' for a"),
        ({"background": 0, "ignore": 1}, "no class beside the background"),
    ],
)
def test_labels_that_nnunet_would_not_take_are_refused(labels, told):
    with pytest.raises(UserError, match=told):
        nnunet_targets(labels, (), "dataset.json")


# From a folder to prepared volumes


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_tumours(tmp_path_factory.mktemp("data"), ignore=True)


@pytest.fixture(scope="module")
def prepared(data, tmp_path_factory) -> VolumeCache:
    config = MsdData(path=data, preprocess=NATIVE, regions=KEYS, ignore=IGNORE)
    return prepare_data(config, tmp_path_factory.mktemp("run"))[0]


def test_a_cache_knows_what_is_learnt_of_it(prepared):
    assert prepared.targets == VolumeCache.open(prepared.folder).targets == TARGETS
    label = prepared.label("case_0")
    assert label.dtype == np.uint8 and set(np.unique(label)) == {0, 1, 2, 3, IGNORE}


def test_foreground_is_of_regions_and_annotated_is_what_is_not_ignored(prepared):
    flat = prepared.label("case_0").ravel()
    for voxels, labels in zip(prepared.foreground("case_0"), KEYS.values(), strict=True):
        np.testing.assert_array_equal(voxels, np.flatnonzero(np.isin(flat, labels)))
    (annotated,) = prepared.annotated("case_0")
    np.testing.assert_array_equal(annotated, np.flatnonzero(flat != IGNORE))


@pytest.mark.filterwarnings("ignore:.*used, with doubts")
def test_every_patch_has_a_voxel_that_counts(prepared, tmp_path):
    write_tumours(tmp_path, 2, (40, 8, 8))
    for number in range(2):  # the last two slices alone are annotated
        label = np.full((40, 8, 8), IGNORE, np.uint8)
        label[38], label[39] = 0, 1
        write_nifti(tmp_path / "labelsTr" / f"case_{number}.nii.gz", label)
    config = MsdData(path=tmp_path, preprocess=NATIVE, ignore=IGNORE)
    cache = prepare_data(config, tmp_path / "run")[0]
    sampler = PatchSampler(cache, cache.names, (8, 8, 8), 20, foreground=0.3)
    _, labels = sampler.batch()
    assert (labels != IGNORE).flatten(1).any(1).all()
    assert prepared.ignore == cache.ignore and cache.regions == ()


def test_regions_have_a_fingerprint_and_a_record_of_their_own(data, tmp_path):
    plain = MsdData(path=write_msd(tmp_path, ["a", "b"]))
    assert "regions" not in plain.model_dump() and "ignore" not in plain.model_dump()
    opened = open_source(plain, tmp_path)
    assert opened.fingerprint(NATIVE) == read_msd(tmp_path).fingerprint(NATIVE)
    config = MsdData(path=data, regions=KEYS, ignore=IGNORE)
    again = TypeAdapter(DataConfig).validate_json(config.model_dump_json())
    assert again == config and list(again.regions) == list(KEYS)
    others = {
        open_source(config.model_copy(update=change), tmp_path).fingerprint(NATIVE)
        for change in ({}, {"ignore": 10}, {"regions": {}}, {"regions": {"WT": (1,)}})
    }
    assert len(others) == 4


def test_a_task_keeps_its_regions_and_an_old_one_opens(prepared, tmp_path):
    task = Task.of(prepared, TrainConfig(patch=(8, 8, 8)))
    task.write(tmp_path)
    assert Task.read(tmp_path) == task and Task.read(tmp_path).targets == TARGETS
    plain = Task(channels=1, classes=CLASSES, spacing=None, patch=(8, 8, 8))
    assert json.loads(plain.model_dump_json()).keys() == {
        *("channels", "classes", "spacing", "patch", "voxel_size")
    }


def test_other_values_than_classes_and_the_ignored_one_are_refused(data, tmp_path):
    config = MsdData(path=data, preprocess=NATIVE, ignore=IGNORE + 1)
    with pytest.raises(UserError, match=r"values 9, but dataset\.json expects 0 to 3, or 10 to be"):
        prepare_data(config, tmp_path)


def test_a_region_of_labels_that_there_are_not_is_refused_before_a_volume_is_read(data, tmp_path):
    config = MsdData(path=data, regions={"WT": [1, 7]})
    with pytest.raises(UserError, match=r"data\.regions\.WT = \[1, 7\]"):
        prepare_data(config, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["", "A+B"])
def test_regions_have_good_names(data, tmp_path, name):
    config = MsdData(path=data, regions={"A*B": [1], name: [2]}, ignore=IGNORE)
    with pytest.raises(UserError, match=r"region 1 has the name|differ only in signs"):
        open_source(config, tmp_path)
