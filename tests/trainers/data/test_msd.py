import json
import shutil
import warnings

import pytest

from trainers.data.msd import MsdData, read_msd
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
    for hidden in (".DS_Store", "._a.nii.gz"):  # of which a Mac leaves one for every file
        (msd / "imagesTr" / hidden).touch()
    (msd / "labelsTr" / "README").touch()
    for number in range(20):
        (msd / "labelsTr" / f"note-{number:02}.txt").touch()
    with pytest.warns(UserWarning) as caught:
        dataset = read_msd(msd)
    assert len(dataset.cases) == 3
    (message,) = [str(warning.message) for warning in caught]
    assert all(name in message for name in ("labelsTr/README", "labelsTr/note-08.txt and 11 more"))
    assert "._a" not in message and "DS_Store" not in message


def test_a_tidy_folder_gives_no_warning(msd):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_msd(msd)


def test_a_pair_that_is_not_listed_is_used_with_a_warning(msd, edit):
    edit(training=[{"image": "./imagesTr/a.nii.gz", "label": "./labelsTr/a.nii.gz"}])
    with pytest.warns(UserWarning, match="does not list b, c"):
        assert len(read_msd(msd).cases) == 3


def test_labels_that_are_all_named_otherwise_are_said_once(msd):
    for file in (msd / "labelsTr").iterdir():
        file.rename(file.with_name(file.name.replace(".nii.gz", "_seg.nii.gz")))
    told = r"no label has the name of its image: imagesTr has a\.nii\.gz, labelsTr a_seg\.nii\.gz"
    with pytest.raises(UserError, match=told):
        read_msd(msd)


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
        ("{", "no JSON: Expecting property name.* line 1 column 2"),
        (json.dumps({"labels": {"0": "background", "1": "x"}}), "modality is missing"),
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


def refused(msd) -> str:
    with pytest.raises(UserError) as error:
        read_msd(msd)
    return str(error.value)


def test_a_class_that_stands_twice_is_refused_with_both_places(msd):
    (msd / "dataset.json").write_text(
        '{"modality": {"0": "CT"},\n"labels": {"0": "background", "1": "liver", "1": "tumour"}}'
    )
    assert refused(msd).endswith(
        ': "1" stands twice in one object, at line 2 column 31 and at line 2 column 45; keep one'
    )


def test_one_number_in_two_spellings_is_refused(msd, edit):
    edit(labels={"0": "background", "1": "liver", "01": "tumour"})
    assert refused(msd).endswith("dataset.json: labels has 1 twice, as '1' and as '01'; keep one")


@pytest.mark.parametrize("key", ["one", "1.0", "-1", "1_0", "٣", ""])
def test_a_key_that_is_no_number_is_refused(msd, edit, key):
    edit(labels={"0": "background", key: "liver"})
    assert f"labels has the key {key!r}; expected a number" in refused(msd)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_is_read(msd, encoding):
    text = (msd / "dataset.json").read_text()
    (msd / "dataset.json").write_bytes(text.encode(encoding))
    assert read_msd(msd).classes == ("background", "low", "high")
    assert MsdData(path=msd).about().name == "balls"


# nnU-Net's folders (version 2: dataset_format.md of its documentation)


def test_a_dataset_json_of_nnunet_is_named_with_its_source(msd):
    told = {
        "channel_names": {"0": "CT"},
        "labels": {"background": 0, "liver": 1},
        "numTraining": 3,
        "file_ending": ".nii.gz",
    }
    (msd / "dataset.json").write_text(json.dumps(told))
    message = refused(msd)
    assert "\n" not in message
    assert "is nnU-Net's (it has channel_names), not one of the Medical Segmentation" in message
    assert message.endswith("set data.source to nnunet")


def test_labels_by_name_are_turned_round_in_the_message(msd, edit):
    edit(labels={"background": 0, "liver": 1})
    assert refused(msd).endswith(
        'labels has numbers by name; write "labels": {"0": "background", "1": "liver"}'
    )


def test_regions_of_nnunet_are_named_too(msd, edit):
    edit(channel_names={"0": "T1"}, labels={"background": 0, "whole": [1, 2]})
    assert "is nnU-Net's" in refused(msd)


def test_images_of_nnunet_are_named(msd):
    for image in (msd / "imagesTr").iterdir():
        image.rename(image.with_name(image.name.replace(".nii", "_0000.nii")))
    message = refused(msd)
    assert "\n" not in message
    assert "names of nnU-Net, a file for each channel: a_0000 for the label a." in message
    assert "Take _0000 off the names" in message


def test_a_case_may_be_called_0000(msd, edit):
    for part in ("imagesTr", "labelsTr"):
        (msd / part / "a.nii.gz").rename(msd / part / "a_0000.nii.gz")
    edit(training=[])
    with pytest.warns(UserWarning, match="does not list a_0000"):
        assert [case.name for case in read_msd(msd).cases] == ["a_0000", "b", "c"]


def pairs(image="./imagesTr/{}.nii.gz", label="./labelsTr/{}.nii.gz"):
    return [{"image": image.format(name), "label": label.format(name)} for name in "abc"]


@pytest.mark.parametrize(
    "folder", [".\\imagesTr\\", "C:\\data\\task\\imagesTr\\", "imagesTr/", "/else/imagesTr/", ""]
)
def test_the_folders_of_a_list_do_not_count(msd, edit, folder):
    edit(training=pairs(folder + "{}.nii.gz"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert [case.name for case in read_msd(msd).cases] == ["a", "b", "c"]


def test_a_list_that_pairs_other_files_is_refused(msd, edit):
    edit(training=[*pairs()[:2], {"image": "./imagesTr/c.nii.gz", "label": "./labelsTr/a.nii.gz"}])
    with pytest.raises(UserError) as error:
        read_msd(msd)
    assert (
        "training lists the label ./labelsTr/a.nii.gz for the image ./imagesTr/c.nii.gz, but the "
        "two go together by their names: name them alike"
    ) in str(error.value)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"training": ["./imagesTr/a.nii.gz"]}, '  training.0: expected {"image": "./imagesTr/a'),
        ({"labels": ["background", "a"]}, "  labels: expected keys and values\n"),
        ({"modality": "CT"}, "  modality: expected keys and values\n"),
        ({"labels": {}}, 'labels is empty. Expected "modality"'),
        ({"modality": {}}, 'modality is empty. Expected "modality"'),
    ],
)
def test_what_is_wrong_is_said_in_the_files_words(msd, edit, keys, message):
    edit(**keys)
    with pytest.raises(UserError) as error:
        read_msd(msd)
    assert message in str(error.value)
