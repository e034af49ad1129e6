"""Datalists of MONAI: lists of training, validation and test, and folds."""

import json

import pytest

from trainers.data.check import check_dataset
from trainers.data.config import OwnSplit, Split
from trainers.data.datalist import DatalistData
from trainers.data.source import About
from trainers.data.source_split import split_source
from trainers.errors import UserError

from .layouts import datalist_of, names_of, pair_of
from .volumes import write_msd


def opened(file, **keys):
    return DatalistData(path=file, **keys).open(file.parent)


def refused(file) -> str:
    with pytest.raises(UserError) as error:
        opened(file)
    return str(error.value)


def entries(msd, **keys):
    """The cases a, b and c, with a value of each key for each; None leaves it out."""
    found = []
    for n, name in enumerate(names_of(msd)):
        own = {key: values[n] for key, values in keys.items() if values[n] is not None}
        found.append(pair_of(msd, name) | own)
    return found


def test_a_datalist_says_cases_classes_and_modalities(msd, tmp_path):
    dataset = opened(datalist_of(msd, tmp_path / "list.json", name="balls"))
    assert [case.name for case in dataset.cases] == ["a", "b", "c"]
    assert (dataset.modalities, dataset.classes) == (("MRI",), ("background", "low", "high"))
    assert dataset.cases[0].parts == ()
    assert DatalistData(path=tmp_path / "list.json").about() == About("balls")
    check_dataset(dataset)


def test_dataset_json_of_the_decathlon_is_a_datalist_too(msd):
    check_dataset(opened(msd / "dataset.json"))


def test_paths_are_relative_to_the_file_or_to_root(msd, tmp_path):
    training = [{"image": "imagesTr/a.nii.gz", "label": "labelsTr/a.nii.gz"}]
    file = datalist_of(msd, tmp_path / "lists" / "list.json", training=training)
    check_dataset(opened(file, root=msd))
    file.rename(msd / "list.json")
    check_dataset(opened(msd / "list.json"))


def test_an_image_may_be_a_list_of_files(msd, tmp_path):
    pair = pair_of(msd, "a")
    training = [{"image": [pair["image"]] * 2, "label": pair["label"]}]
    file = datalist_of(msd, tmp_path / "list.json", training=training, modality=None)
    dataset = opened(file, modalities=("T1", "T2"))
    assert len(dataset.cases[0].image) == 2
    check_dataset(dataset)
    assert opened(file).modalities == ("image 0", "image 1")


def test_classes_may_be_given(msd, tmp_path):
    file = datalist_of(msd, tmp_path / "list.json", labels=None)
    assert "what the numbers of the labels mean is not said; set data.classes" in refused(file)
    assert opened(file, classes=("background", "a", "b")).classes == ("background", "a", "b")


def test_a_fold_validates_and_the_others_train(msd, tmp_path):
    file = datalist_of(msd, tmp_path / "list.json", training=entries(msd, fold=[0, 1, 0]))
    dataset = opened(file)
    assert split_source(dataset, OwnSplit()).parts == {
        "training": ("b",),
        "validation": ("a", "c"),
    }
    assert split_source(dataset, OwnSplit(fold=1)).parts == {
        "training": ("a", "c"),
        "validation": ("b",),
    }
    assert split_source(dataset, Split(validation=0.34)).validation


def test_the_lists_are_the_split(msd, tmp_path):
    a, b, c = entries(msd)
    file = datalist_of(msd, tmp_path / "list.json", training=[a], validation=[b], testing=[c])
    cases = split_source(opened(file), OwnSplit())
    assert cases.parts == {"training": ("a",), "validation": ("b",), "test": ("c",)}


def test_a_test_stays_out_of_all_folds(tmp_path):
    msd = write_msd(tmp_path / "msd", ["a", "b", "c"])
    for own in (None, 0):  # some scripts give every entry a fold
        a, b, c = entries(msd, fold=[0, 1, own])
        file = datalist_of(msd, tmp_path / "list.json", training=[a, b], test=[c])
        for fold in range(2):
            assert split_source(opened(file), OwnSplit(fold=fold)).test == ("c",)


def test_a_fold_of_a_test_makes_no_validation(tmp_path):
    msd = write_msd(tmp_path / "msd", ["a", "b", "c"])
    a, b, c = entries(msd, fold=[None, None, 0])
    file = datalist_of(msd, tmp_path / "list.json", training=[a], validation=[b], test=[c])
    cases = split_source(opened(file), OwnSplit())
    assert (cases.validation, cases.test) == (("b",), ("c",))


def test_what_has_no_label_is_left_out(msd, tmp_path):
    a, b, c = entries(msd)
    test = ["./imagesTs/x.nii.gz", {"image": c["image"]}]
    file = datalist_of(msd, tmp_path / "list.json", training=[a, b], test=test)
    with pytest.warns(UserWarning, match="2 entries without a label are left out"):
        assert [case.name for case in opened(file).cases] == ["a", "b"]


def test_keys_that_are_not_read_are_said_once(msd, tmp_path):
    file = datalist_of(msd, tmp_path / "list.json", training=entries(msd, patient=["p", "q", "p"]))
    told = "list.json: ignored the key patient, which means nothing here; `group` keeps the cases"
    with pytest.warns(UserWarning, match=told) as warned:
        opened(file)
    assert len(warned) == 1


def test_groups_stay_together(msd, tmp_path):
    file = datalist_of(msd, tmp_path / "list.json", training=entries(msd, group=["p", "q", "p"]))
    cases = split_source(opened(file), Split())
    assert ("a" in cases.train) == ("c" in cases.train)


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"training": None}, "has no list `training`. Expected"),
        ({"training": []}, "lists no case with a label"),
        ({"training": [{"label": "a"}]}, "training:\n  0.image is missing\n"),
        ({"training": [{"image": "a", "label": ["b"]}]}, "training:\n  0.label: Input should be a"),
        ({"validation": {"image": "a"}}, "validation:\n"),
        ({"val": [{"image": "a", "label": "b"}]}, "has cases in a list `val`; expected the lists"),
        ({"fold": [0, 1, None]}, "entries of training with and without a fold"),
        ({"fold": [1, 2, 3]}, "has the folds 1, 2, 3; expected 0, 1, 2, ... without a gap"),
    ],
)
def test_datalists_that_cannot_be_used(msd, tmp_path, keys, told):
    if "fold" in keys:
        keys = {"training": entries(msd, **keys)}
    assert told in refused(datalist_of(msd, tmp_path / "list.json", **keys))


def test_folds_and_a_validation_at_once_are_refused(msd, tmp_path):
    a, b, c = entries(msd, fold=[0, 1, None])
    file = datalist_of(msd, tmp_path / "list.json", training=[a, b], validation=[c])
    assert "has folds and a list `validation`; expected one or the other" in refused(file)


def test_a_missing_file_is_named(tmp_path):
    assert "nowhere.json is missing; set data.path" in refused(tmp_path / "nowhere.json")


def test_json_of_something_else_is_named(tmp_path):
    (tmp_path / "list.json").write_text(json.dumps([1]))
    assert "list.json: expected keys and values" in refused(tmp_path / "list.json")
