import json
import shutil
import warnings

import pytest

from trainers.data.msd import read_msd
from trainers.errors import UserError


def test_reads_names_classes_and_files(msd):
    dataset = read_msd(msd)
    assert [case.name for case in dataset.cases] == ["a", "b", "c"]
    assert dataset.classes == ("background", "low", "high")
    assert dataset.modalities == ("MRI",)
    assert dataset.cases[1].label == msd / "labelsTr" / "b.nii.gz"


def test_classes_are_in_the_order_of_their_numbers(msd, edit):
    edit(labels={str(i): f"class {i}" for i in reversed(range(12))})
    assert read_msd(msd).classes == tuple(f"class {i}" for i in range(12))


def test_uncompressed_files_are_read_too(msd):
    for part in ("imagesTr", "labelsTr"):
        (msd / part / "a.nii.gz").rename(msd / part / "a.nii")
    assert read_msd(msd).cases[0].image == msd / "imagesTr" / "a.nii"


def test_stray_files_are_named_in_one_warning(msd):
    (msd / "imagesTr" / ".DS_Store").touch()
    (msd / "imagesTr" / "._a.nii.gz").touch()
    (msd / "labelsTr" / "README").touch()
    with pytest.warns(UserWarning) as caught:
        dataset = read_msd(msd)
    assert len(dataset.cases) == 3
    (message,) = [str(warning.message) for warning in caught]
    assert all(name in message for name in (".DS_Store", "._a.nii.gz", "labelsTr/README"))


def test_a_tidy_folder_gives_no_warning(msd):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_msd(msd)


def test_a_pair_that_is_not_listed_is_used_with_a_warning(msd, edit):
    edit(training=[{"image": "./imagesTr/a.nii.gz", "label": "./labelsTr/a.nii.gz"}])
    with pytest.warns(UserWarning, match="does not list b, c"):
        assert len(read_msd(msd).cases) == 3


def test_a_case_in_two_formats_is_refused(msd):
    shutil.copy(msd / "imagesTr" / "a.nii.gz", msd / "imagesTr" / "a.nii")
    with pytest.raises(UserError, match=r"both a\.nii and a\.nii\.gz"):
        read_msd(msd)


@pytest.mark.parametrize("missing", ["dataset.json", "imagesTr", "labelsTr"])
def test_a_missing_part_is_named(msd, missing):
    path = msd / missing
    path.unlink() if path.is_file() else shutil.rmtree(path)
    with pytest.raises(UserError, match=f"{missing} is missing"):
        read_msd(msd)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(UserError, match=r"nowhere is no folder; set data\.path"):
        read_msd(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "Invalid JSON"),
        (json.dumps({"labels": {"0": "background", "1": "x"}}), "modality: Field required"),
        (json.dumps({"modality": {"0": "CT"}, "labels": {"0": "b", "2": "x"}}), "keys 0, 2"),
        (json.dumps({"modality": {"0": "CT"}, "labels": {"0": "b"}}), "no class beside"),
        (json.dumps({"modality": {"1": "CT"}, "labels": {"0": "b", "1": "x"}}), "modality has"),
        (json.dumps({"modality": {"0": "CT"}, "labels": {"background": 0}}), "labels"),
    ],
)
def test_a_dataset_json_that_cannot_be_understood_is_refused(msd, content, message):
    (msd / "dataset.json").write_text(content)
    with pytest.raises(UserError, match=message):
        read_msd(msd)


def test_an_empty_data_set_is_refused(msd, edit):
    for file in [*(msd / "imagesTr").iterdir(), *(msd / "labelsTr").iterdir()]:
        file.unlink()
    edit(training=[])
    with pytest.raises(UserError, match=r"no \.nii"):
        read_msd(msd)
