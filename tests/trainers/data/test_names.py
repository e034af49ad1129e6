"""Names of classes and modalities that would be lost, or taken for others, are refused."""

from pathlib import Path

import pytest

from trainers.data.dataset import Dataset
from trainers.data.msd import MsdData
from trainers.data.names import check_names
from trainers.data.prepare import prepare_data
from trainers.errors import UserError


def refused(classes=("background", "liver"), modalities=("CT",)) -> str:
    with pytest.raises(UserError) as error:
        check_names(Dataset(Path("x"), tuple(modalities), tuple(classes), ()))
    return str(error.value).removeprefix("x: dataset.json: ")


@pytest.mark.parametrize("name", ["dice", "mean", "all classes", "a b", "größe", "T1/T2", "n. 3"])
def test_a_name_that_is_only_odd_is_good(name):
    check_names(Dataset(Path("x"), ("CT", name), ("background", name, "liver"), ()))


@pytest.mark.parametrize(("classes", "told"), [(["liver"], "'liver'"), ([], "none")])
def test_a_background_alone_is_refused(classes, told):
    assert refused(classes) == (
        f"the classes are {told}; expected the background and one more at least, such as "
        "[background, liver]"
    )


def test_two_of_one_name_are_refused():
    assert refused(["background", "a", "b", "a"]) == (
        "class 1 and 3 have one name, 'a'; expected one name for each"
    )
    assert refused(modalities=["T1", "T1"]).startswith("modality 0 and 1 have one name, 'T1'")


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("", "which is empty"),
        ("  ", "which is empty"),
        (" liver", "begins or ends with a space"),
        ("liver\t", "begins or ends with a space"),
        ("a\nb", "cannot be printed"),
        ("a\u202eb", "cannot be printed"),
        ("x" * 101, "of 101 characters"),
    ],
)
def test_a_name_that_cannot_be_told_is_refused(name, fault):
    message = refused(["background", name])
    assert message.startswith("class 1 has the name ") and fault in message
    assert "\n" not in message and len(message) < 250


def test_a_background_that_is_not_class_0_is_refused():
    assert refused(["liver", "Background", "spleen"]) == (
        "class 1 is called Background, but class 0 is the background; number the classes from it"
    )


@pytest.mark.parametrize("other", ["a_b", "a/b", "a*b"])
def test_names_that_mlflow_would_write_alike_are_refused(other):
    assert f"'a+b' and {other!r} differ only in signs" in refused(["background", "a+b", other])
    check_names(Dataset(Path("x"), ("CT",), ("background", "a b", "a-b", "a_b"), ()))


def test_they_are_checked_before_anything_is_prepared(msd, edit, tmp_path):
    edit(labels={"0": "background", "1": "low", "2": "low"})
    with pytest.raises(UserError, match=r"dataset\.json: class 1 and 2 have one name, 'low'"):
        prepare_data(MsdData(path=msd), tmp_path)
    assert not (tmp_path / "cache").exists()
