"""Raw folders of nnU-Net, version 2, with their quirks (its documentation/dataset_format.md)."""

import json
import shutil
import warnings

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from trainers.data.check import check_dataset
from trainers.data.config import OwnSplit, Split
from trainers.data.nnunet import NnunetData, read_nnunet
from trainers.data.source import About
from trainers.data.source_split import split_source
from trainers.errors import UserError
from trainers.volumes.targets import Region

from .layouts import nnunet_of
from .volumes import SHAPE, ball, write_msd, write_nifti


@pytest.fixture
def two(tmp_path):
    """The MSD data set from which `nnunet` is made: three cases of two modalities."""
    return write_msd(tmp_path / "msd", ["a", "b", "c"], ("T1", "FLAIR"))


@pytest.fixture
def nnunet(two, tmp_path):
    return nnunet_of(two, tmp_path / "Dataset001_Balls")


def refused(folder) -> str:
    with pytest.raises(UserError) as error:
        read_nnunet(folder)
    return str(error.value)


def faults(folder) -> str:
    with pytest.raises(UserError) as error:
        check_dataset(read_nnunet(folder))
    return str(error.value)


def test_channels_that_are_normalised_alike_are_told_apart(nnunet):
    """As nnU-Net's own conversions have them, whose names say no more than that."""
    file = nnunet / "dataset.json"
    told = json.loads(file.read_text())
    file.write_text(json.dumps({**told, "channel_names": {"0": "CT", "1": "CT"}}))
    assert read_nnunet(nnunet).modalities == ("CT", "CT 1")


def test_a_case_has_a_file_for_each_channel(nnunet):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dataset = read_nnunet(nnunet)
    assert dataset.modalities == ("T1", "FLAIR")
    assert dataset.classes == ("background", "low", "high")
    assert [case.name for case in dataset.cases] == ["a", "b", "c"]
    images = nnunet / "imagesTr"
    assert dataset.cases[1].image == (images / "b_0000.nii.gz", images / "b_0001.nii.gz")
    assert dataset.cases[1].label == nnunet / "labelsTr" / "b.nii.gz"
    check_dataset(dataset)


def test_a_single_channel_is_a_file(msd, tmp_path):
    dataset = read_nnunet(nnunet_of(msd, tmp_path / "Dataset002"))
    assert dataset.cases[0].image == tmp_path / "Dataset002" / "imagesTr" / "a_0000.nii.gz"


def test_images_to_predict_are_no_cases(nnunet):
    write_nifti(nnunet / "imagesTs" / "z_0000.nii.gz", np.zeros(SHAPE, np.float32))
    assert len(read_nnunet(nnunet).cases) == 3


def test_keys_that_others_write_do_not_matter(two, tmp_path):
    keys = {"overwrite_image_reader_writer": "SimpleITKIO", "licence": "CC", "numTraining": None}
    folder = nnunet_of(two, tmp_path / "own", **keys, description="Balls")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_nnunet(folder)
    assert NnunetData(path=folder).about() == About("own", "Balls", "", "CC")


def test_files_may_be_listed_where_they_lie(nnunet, tmp_path, monkeypatch):
    """The key `dataset` of later versions: paths from the folder, or absolute ones."""
    told = json.loads((nnunet / "dataset.json").read_text())
    shutil.move(nnunet / "labelsTr" / "b.nii.gz", tmp_path / "b.nii.gz")
    images = [f"imagesTr/b_{channel:04}.nii.gz" for channel in range(2)]
    told["dataset"] = {"b": {"images": images, "label": str(tmp_path / "b.nii.gz")}}
    (nnunet / "dataset.json").write_text(json.dumps(told | {"numTraining": 1}))
    dataset = read_nnunet(nnunet)
    assert [case.name for case in dataset.cases] == ["b"]
    check_dataset(dataset)
    monkeypatch.setenv("nnUNet_raw", str(tmp_path))  # as its own conversions have them
    told["dataset"]["b"]["label"] = "$nnUNet_raw/b.nii.gz"
    (nnunet / "dataset.json").write_text(json.dumps(told | {"numTraining": 1}))
    assert read_nnunet(nnunet).cases == dataset.cases


def test_another_number_of_cases_than_is_said_is_a_doubt(two, tmp_path):
    with pytest.warns(UserWarning, match="numTraining 20, there are 3"):
        read_nnunet(nnunet_of(two, tmp_path / "own", numTraining=20))


def test_what_else_lies_there_is_named(nnunet):
    (nnunet / "imagesTr" / "notes.txt").touch()
    (nnunet / "imagesTr" / ".DS_Store").touch()
    with pytest.warns(UserWarning, match=r"imagesTr: ignored notes\.txt \(no \.nii\.gz file\)"):
        read_nnunet(nnunet)


def test_colours_of_a_picture_are_in_one_file(tmp_path):
    """As nnU-Net's NaturalImage2DIO reads them: three channel names, a file for each case."""
    random = np.random.default_rng(0)
    for name in "ab":
        for part, values in (
            ("imagesTr", random.integers(0, 255, (12, 14, 3), np.uint8)),
            ("labelsTr", ball((12, 14, 3))[:, :, 1]),
        ):
            (tmp_path / part).mkdir(exist_ok=True)
            end = "_0000.png" if part == "imagesTr" else ".png"
            Image.fromarray(values).save(tmp_path / part / f"{name}{end}")
    told = {
        "channel_names": {"0": "R", "1": "G", "2": "B"},
        "labels": {"background": 0, "low": 1, "high": 2},
        "file_ending": ".png",
    }
    (tmp_path / "dataset.json").write_text(json.dumps(told))
    dataset = read_nnunet(tmp_path)
    assert dataset.cases[0].image == tmp_path / "imagesTr" / "a_0000.png"
    check_dataset(dataset)


# What is wrong with it


def test_a_missing_channel_is_named_with_its_case(nnunet):
    (nnunet / "imagesTr" / "b_0001.nii.gz").unlink()
    assert "  b  1 of 2 files missing (imagesTr/b_0001.nii.gz)\n" in faults(nnunet)


def test_a_label_without_an_image_and_an_image_without_a_label(nnunet):
    for channel in range(2):
        (nnunet / "imagesTr" / f"a_{channel:04}.nii.gz").unlink()
    (nnunet / "labelsTr" / "c.nii.gz").unlink()
    told = faults(nnunet)
    assert (
        "  a  label without an image (labelsTr/a.nii.gz); expected imagesTr/a_0000.nii.gz\n" in told
    )
    assert (
        "  c  image without a label (imagesTr/c_0000.nii.gz); expected labelsTr/c.nii.gz\n" in told
    )


def test_a_label_value_without_a_name(nnunet):
    label = ball(SHAPE)
    label[0, 0, 0] = 7
    write_nifti(nnunet / "labelsTr" / "a.nii.gz", label)
    assert "  a  label has the values 7, but dataset.json expects 0 to 2" in faults(nnunet)


@pytest.mark.parametrize(
    ("shape", "shift", "told"),
    [
        ((12, 14, 9), 0, "imagesTr/b_0001.nii.gz is 12x14x9, b_0000.nii.gz 12x14x10; expected"),
        (SHAPE, 5, "imagesTr/b_0001.nii.gz is at another place than b_0000.nii.gz; expected"),
    ],
)
def test_channels_on_different_grids_are_refused(nnunet, shape, shift, told):
    affine = np.eye(4)
    affine[0, 3] = shift
    file = nnunet / "imagesTr" / "b_0001.nii.gz"
    write_nifti(file, np.zeros(shape, np.float32), affine)
    assert f"  b  {told}" in faults(nnunet)


def test_a_damaged_channel_is_named(nnunet):
    file = nnunet / "imagesTr" / "b_0001.nii.gz"
    file.write_bytes(file.read_bytes()[:100])
    assert "  b  imagesTr/b_0001.nii.gz cannot be read: truncated" in faults(nnunet)


def test_files_of_both_layouts_at_once_are_refused(nnunet):
    shutil.copy(nnunet / "imagesTr" / "a_0000.nii.gz", nnunet / "imagesTr" / "a.nii.gz")
    told = refused(nnunet)
    assert "imagesTr: a.nii.gz without the number of a channel that dataset.json names" in told
    assert "expected _0000 to _0001 before .nii.gz" in told


def test_a_channel_more_than_are_named_is_refused(nnunet):
    shutil.copy(nnunet / "imagesTr" / "a_0000.nii.gz", nnunet / "imagesTr" / "a_0002.nii.gz")
    assert "imagesTr: a_0002.nii.gz without the number of a channel" in refused(nnunet)


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"file_ending": ".foo"}, "file_ending is '.foo'; expected one of .nii.gz, .nii, .nrrd"),
        ({"file_ending": None}, "  file_ending is missing\n"),
        ({"modality": {"0": "T1"}}, "has modality, of the Medical Segmentation Decathlon, and"),
        ({"labels": {"background": 0, "low": 2}}, "labels has 2 (low); expected 1, 2, ... once"),
        ({"labels": {"background": 0, "low": 1, "high": 1}}, "labels has 1 (low), 1 (high); expec"),
        ({"labels": {"background": 0, "low": "1"}}, "labels has '1' for low; expected a number"),
        ({"labels": {"background": 0}}, "labels has no class beside the background"),
        ({"labels": {"background": 0, "whole": [1, 2]}}, "regions.whole has 2 labels of its own"),
        ({"labels": {"background": 0, "a": 1, "ignore": 3}}, "labels.ignore is 3; expected 2"),
    ],
)
def test_a_dataset_json_that_cannot_be_used(two, tmp_path, keys, told):
    folder = nnunet_of(two, tmp_path / "own")
    values = json.loads((folder / "dataset.json").read_text()) | keys
    kept = {key: value for key, value in values.items() if value is not None}
    (folder / "dataset.json").write_text(json.dumps(kept))
    assert told in refused(folder)


def test_regions_and_voxels_to_ignore(nnunet):
    values = json.loads((nnunet / "dataset.json").read_text())
    values["labels"] = {"background": 0, "whole": [1, 2], "high": 2, "ignore": 3}
    values["regions_class_order"] = [1, 2]
    (nnunet / "dataset.json").write_text(json.dumps(values))
    targets = read_nnunet(nnunet).targets
    assert targets.regions == (Region("whole", (1, 2), 1), Region("high", (2,), 2))
    assert targets.ignore == 3
    check_dataset(read_nnunet(nnunet))


@pytest.mark.parametrize("missing", ["dataset.json", "imagesTr", "labelsTr"])
def test_a_missing_part_is_named(nnunet, missing):
    path = nnunet / missing
    path.unlink() if path.is_file() else shutil.rmtree(path)
    assert f"{missing} is missing" in refused(nnunet)


# splits_final.json


FOLDS = [{"train": ["b", "c"], "val": ["a"]}, {"train": ["a"], "val": ["b"]}]


def parts(folder, split):
    return split_source(read_nnunet(folder), split).parts


def test_a_fold_of_splits_final_is_the_split(nnunet):
    (nnunet / "splits_final.json").write_text(json.dumps(FOLDS))
    first = {"training": ("b", "c"), "validation": ("a",)}
    assert parts(nnunet, NnunetData(path=nnunet).split) == first
    assert parts(nnunet, OwnSplit(fold=0)) == first
    with pytest.warns(UserWarning, match=r"json has c in no part of the split: left out"):
        assert parts(nnunet, OwnSplit(fold=1)) == {"training": ("a",), "validation": ("b",)}
    assert parts(nnunet, Split(validation=0.34, test=0.34)).keys() == {
        "training", "validation", "test",
    }  # fmt: skip


def test_without_splits_final_a_fifth_is_drawn(nnunet):
    assert parts(nnunet, OwnSplit()) == parts(nnunet, Split())
    with pytest.raises(UserError, match=r"data\.split\.fold = 0, but dataset\.json has no split"):
        parts(nnunet, OwnSplit(fold=0))


@pytest.mark.parametrize(
    ("folds", "told"),
    [
        ([{"train": ["a", "x"], "val": ["b"]}], "fold 0 names x, which the data do not have"),
        ([FOLDS[0], {"train": ["a"], "val": ["a"]}], "fold 1 has a in train and in val; keep one"),
        ({"train": ["a"]}, "expected a list of folds"),
        ([{"train": ["a"]}], "0.val is missing"),
    ],
)
def test_splits_that_cannot_be_used(nnunet, folds, told):
    (nnunet / "splits_final.json").write_text(json.dumps(folds))
    assert told in refused(nnunet)


def test_a_fold_that_there_is_not(nnunet):
    (nnunet / "splits_final.json").write_text(json.dumps(FOLDS))
    with pytest.raises(UserError, match=r"fold = 2, but dataset\.json has folds 0 to 1"):
        parts(nnunet, OwnSplit(fold=2))


def test_the_affine_of_a_case_is_that_of_its_first_file(nnunet):
    """Within a tenth of a voxel they may differ, as headers of different programs do."""
    file = nnunet / "imagesTr" / "a_0001.nii.gz"
    values = nib.load(file).get_fdata(dtype=np.float32)
    affine = np.eye(4)
    affine[0, 3] = 0.01
    write_nifti(file, values, affine)
    check_dataset(read_nnunet(nnunet))
