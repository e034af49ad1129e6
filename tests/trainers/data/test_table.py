"""A CSV table of cases."""

import json
import os
from pathlib import Path

import pytest

from trainers.data.check import check_dataset
from trainers.data.config import OwnSplit, Preprocess, Split
from trainers.data.folds import make_folds
from trainers.data.patient_names import groups_by_name
from trainers.data.source import About
from trainers.data.source_split import split_source
from trainers.data.table import CsvData
from trainers.errors import UserError

from .layouts import pair_of, table_of
from .volumes import write_msd

CLASSES = ("background", "low", "high")


def opened(file, **keys):
    return CsvData(path=file, **{"classes": CLASSES} | keys).open(file.parent)


def refused(file, text, **keys) -> str:
    file.write_text(text)
    with pytest.raises(UserError) as error:
        opened(file, **keys)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.fixture
def file(msd, tmp_path):
    """A table of the cases a, b and c of `msd`, whose paths are absolute."""
    return table_of(msd, tmp_path / "cases.csv")


def rows(msd, **columns):
    """The cases a, b and c with a value of each column for each."""
    return [
        pair_of(msd, name) | {column: values[n] for column, values in columns.items()}
        for n, name in enumerate("abc")
    ]


def test_a_table_lists_cases_wherever_they_lie(msd, file):
    dataset = opened(file)
    assert [case.name for case in dataset.cases] == ["a", "b", "c"]
    assert (dataset.modalities, dataset.classes) == (("image",), CLASSES)
    assert dataset.described_by == "cases.csv"
    assert dataset.cases[1].label == msd / "labelsTr" / "b.nii.gz"
    check_dataset(dataset)


def test_other_names_of_the_same_files_are_other_data(msd, file):
    """But for the files' own, which say nothing more."""

    def fingerprint(*names):
        return opened(table_of(msd, file, rows(msd, case=names))).fingerprint(Preprocess())

    plain = opened(file).fingerprint(Preprocess())
    assert fingerprint("a", "b", "c") == plain
    assert len({plain, fingerprint("p1", "p2", "p3"), fingerprint("p1", "p2", "p4")}) == 3


def test_files_of_the_same_name_in_another_folder_are_other_data(msd, monkeypatch):
    """Labels of two readers, of one size and, out of one archive, of one time."""
    for reader in ("1", "2"):
        file = msd / "readers" / reader / "a.nii"
        file.parent.mkdir(parents=True)
        file.write_bytes(b"labels")
        os.utime(file, (0, 0))

    def fingerprint(folder, label):
        row = {"image": "imagesTr/a.nii.gz", "label": str(label)}
        return opened(table_of(msd, folder / "cases.csv", [row])).fingerprint(Preprocess())

    first = fingerprint(msd, "readers/1/a.nii")
    assert fingerprint(msd, "readers/2/a.nii") != first
    assert fingerprint(msd, msd / "readers" / "1" / "a.nii") == first
    monkeypatch.chdir(msd.parent)
    assert fingerprint(Path(msd.name), msd / "readers" / "1" / "a.nii") == first
    moved = msd.rename(msd.parent / "moved")
    assert fingerprint(moved, "readers/1/a.nii") == first


def test_paths_are_relative_to_the_table(msd):
    file = msd / "cases.csv"
    file.write_text("image,label\nimagesTr/a.nii.gz,labelsTr/a.nii.gz\n")
    check_dataset(opened(file))


def test_an_image_of_several_files_has_a_column_for_each(tmp_path):
    msd = write_msd(tmp_path / "msd", ["a"])
    pair = pair_of(msd, "a")
    row = {"image_T1": pair["image"], "image_FLAIR": pair["image"], "label": pair["label"]}
    dataset = opened(table_of(msd, tmp_path / "cases.csv", [row]))
    assert dataset.modalities == ("T1", "FLAIR")
    assert len(dataset.cases[0].image) == 2
    check_dataset(dataset)


def test_a_single_column_names_its_modality_too(msd, tmp_path):
    pair = pair_of(msd, "a")
    row = {"Image_CT": pair["image"], "label": pair["label"]}
    assert opened(table_of(msd, tmp_path / "cases.csv", [row])).modalities == ("CT",)


def test_classes_are_those_of_dataset_json_beside_it(file):
    told = {"labels": {"background": 0, "low": 1, "high": 2}, "channel_names": {"0": "T2"}}
    (file.parent / "dataset.json").write_text(json.dumps(told | {"name": "balls"}))
    dataset = opened(file, classes=None)
    assert (dataset.modalities, dataset.classes) == (("T2",), CLASSES)
    assert CsvData(path=file).about() == About("balls")
    told["labels"] = {"0": "background", "1": "low", "2": "high"}  # as the Decathlon has them
    (file.parent / "dataset.json").write_text(json.dumps(told))
    assert opened(file, classes=None).classes == CLASSES


def test_without_classes_it_says_where_to_write_them(file):
    with pytest.raises(UserError, match="to their names in order") as error:
        opened(file, classes=None)
    assert str(file.parent / "dataset.json") in str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        "image;label\n{};{}\n",
        "\ufeff Image\tLABEL\r\n{}\t {} \r\n\r\n",
        "\ufeffsep=;\r\nimage;label\r\n{};{}\r\n",
    ],
)
def test_tables_as_other_programs_save_them(msd, tmp_path, text):
    """Semicolons, tabs, a byte order mark, blanks, an empty row, Excel's line on the separator."""
    file = tmp_path / "cases.csv"
    file.write_bytes(text.format(*pair_of(msd, "b").values()).encode())
    assert [case.name for case in opened(file).cases] == ["b"]


def test_cases_are_named_by_a_column_or_by_as_many_folders_as_tell_them_apart(msd, tmp_path):
    folders = [msd.parent / name for name in ("p1/day 1", "p1/day 2", "p2/day 1")]
    text = "".join(f"{folder / 'ct.nii.gz'},{folder / 'seg.nii.gz'}\n" for folder in folders)
    file = tmp_path / "cases.csv"
    file.write_text("image,label\n" + text)
    names = ["p1_day 1_ct", "p1_day 2_ct", "p2_day 1_ct"]
    assert [case.name for case in opened(file).cases] == names
    file = table_of(msd, tmp_path / "named.csv", rows(msd, case=["z", "y", "x"]))
    assert [case.name for case in opened(file).cases] == ["x", "y", "z"]


def test_a_row_ends_where_a_line_does(msd, tmp_path):
    """Not at a separator of another kind, such as a spreadsheet's line within a cell."""
    names = [f"patient{mark}{n}" for n, mark in enumerate("\u2028\x0b\x85")]
    dataset = opened(table_of(msd, tmp_path / "cases.csv", rows(msd, case=names)))
    assert [case.name for case in dataset.cases] == sorted(names)


def test_two_rows_of_one_name_are_refused(msd, tmp_path):
    file = table_of(msd, tmp_path / "cases.csv", rows(msd, case=["x", "y", "x"]))
    with pytest.raises(UserError, match=r"cases\.csv has x more than once"):
        opened(file)


def test_an_image_that_is_listed_twice_is_named(msd, file):
    row = file.read_text().splitlines()[1]
    file.write_text(f"{file.read_text()}{row}\n")
    with pytest.raises(UserError, match=rf"lists {msd}/imagesTr/a\.nii\.gz more than once"):
        opened(file)


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        (["patient"], "the column patient, which means nothing here; `group` keeps the cases of a"),
        (["fold", "age"], "the columns fold, age, which mean nothing here; `group` keeps"),
        (["group", "split", "sex"], "the column sex, which means nothing here$"),
    ],
)
def test_columns_that_are_not_read_are_said(msd, tmp_path, columns, told):
    """Scans of a patient would be in two parts without a word."""
    values = {name: ["training", "test", "validation"] for name in columns}
    file = table_of(msd, tmp_path / "cases.csv", rows(msd, **values))
    with pytest.warns(UserWarning, match=rf"cases\.csv: ignored {told}"):
        opened(file)


def test_the_column_split_is_the_split(msd, tmp_path):
    table = rows(msd, split=["train", "Validation", "test"])
    dataset = opened(table_of(msd, tmp_path / "cases.csv", table))
    cases = split_source(dataset, OwnSplit())
    assert cases.parts == {"training": ("a",), "validation": ("b",), "test": ("c",)}


def test_without_validation_a_fifth_of_the_training_validates(tmp_path):
    names = [f"{n}" for n in range(10)]
    msd = write_msd(tmp_path / "msd", names)
    table = [
        pair_of(msd, name) | {"split": "test" if name == "9" else "training"} for name in names
    ]
    cases = split_source(opened(table_of(msd, tmp_path / "cases.csv", table)), OwnSplit(fold=0))
    assert cases.test == ("9",)
    assert len(cases.validation) == 2 and len(cases.train) == 7


def test_cases_of_a_group_stay_together(tmp_path):
    names = [f"{n:02}" for n in range(20)]
    msd = write_msd(tmp_path / "msd", names)
    table = [pair_of(msd, name) | {"group": f"p{int(name) // 5}"} for name in names]
    cases = split_source(opened(table_of(msd, tmp_path / "cases.csv", table)), Split())
    assert len(cases.validation) == 5
    assert len({int(name) // 5 for name in cases.validation}) == 1


def test_patients_that_names_tell_stay_together_where_the_data_bring_no_validation(tmp_path):
    """And a warning tells where the data's own parts do not keep them so."""
    names = [f"patient{n // 2:02}_frame{n % 2}" for n in range(20)]
    msd = write_msd(tmp_path / "msd", names)
    parts = ["train"] * 16 + ["test"] * 4
    table = [pair_of(msd, n) | {"split": part} for n, part in zip(names, parts, strict=True)]
    source = opened(table_of(msd, tmp_path / "cases.csv", table))
    groups = groups_by_name(names)
    cases = split_source(source, OwnSplit(fold=0, groups=groups))
    for each in (cases, *make_folds(cases, 4, seed=0)):
        assert not {n[:9] for n in each.train} & {n[:9] for n in each.validation}
    table[0]["split"] = "test"
    leaking = opened(table_of(msd, tmp_path / "leaking.csv", table))
    with pytest.warns(UserWarning, match=r"has patient00 in several parts"):
        split_source(leaking, OwnSplit(fold=0, groups=groups))


def test_a_group_in_two_parts_is_a_doubt(msd, tmp_path):
    table = rows(msd, split=["train", "validation", "test"], group=["p", "p", ""])
    dataset = opened(table_of(msd, tmp_path / "cases.csv", table))
    with pytest.warns(UserWarning, match=r"cases\.csv has p in several parts"):
        split_source(dataset, OwnSplit())
    file = tmp_path / "split.json"
    first, second, third = (case.name for case in dataset.cases)
    file.write_text(json.dumps({"training": [first], "validation": [second]}))
    with pytest.warns(UserWarning) as told:
        split_source(dataset, file)
    assert [str(each.message).partition(" have ")[2].split(":")[0] for each in told] == [
        f"{third} in no part of the split", "p in several parts",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a,b\n1,2\n", "has the columns a, b; expected image and label, or image_T1, image_T2"),
        ("image,mask\n1,2\n", "has the columns image, mask; expected image and label"),
        ("", "has the columns none; expected image and label"),
        ("image,label\n", "lists no case with a label"),
        ("image,image_T1,label\n1,2,3\n", "has the columns image and image_T1; expected one or"),
        ("image,label,Label\n1,2,3\n", "has the columns label and Label; expected one of them"),
        ('image,label\n"a.nii,b\n', "is no CSV table: unexpected end of data"),
        ("image,label,splt\n1,2,test\n", "has a column splt. Did you mean split?"),
        ("image,label\na.nii,\n", "row 2 has no label; expected a path"),
        ("image,label\na.nii,b.nii\nc.nii,d.nii,e\n", "row 3 has more cells than columns"),
        ("image,label,split\na.nii,b.nii,tune\n", "row 2 has the split 'tune'; expected training"),
        (
            "image,label,split\na.nii,b.nii,\nc.nii,d.nii,test\ne.nii,f.nii,\n",
            "without a split: row 2, 4; expected training, validation or test in every row, or in",
        ),
    ],
)
def test_tables_that_cannot_be_used(tmp_path, text, told):
    assert told in refused(tmp_path / "cases.csv", text)


def test_another_number_of_modalities_than_of_files_is_refused(tmp_path):
    text = "image_T1,image_T2,label\na.nii,b.nii,c.nii\n"
    told = refused(tmp_path / "cases.csv", text, modalities=("T1", "T2", "FLAIR"))
    assert "a.nii is one of 2 files of a case; expected one, or 3: T1, T2, FLAIR" in told


def test_paths_that_do_not_exist_are_named_with_their_cases(file):
    file.write_text(file.read_text().replace("imagesTr/b.nii", "imagesTr/lost.nii"))
    with pytest.raises(UserError, match=r"  lost  label without an image \(labelsTr/b\.nii\.gz\)"):
        check_dataset(opened(file))


@pytest.mark.parametrize("root", ["/mnt/elsewhere/", "D:\\liver\\"])
def test_paths_of_another_machine_are_told_in_full(file, root):
    lines = file.read_text().replace(f"{file.parent}/balls/", root).splitlines()
    file.write_text("\n".join([lines[0], lines[1].replace("imagesTr/", "imagesTr" + root[-1])]))
    with pytest.raises(UserError) as error:
        check_dataset(opened(file))
    note = " (folders are separated by / here)" if root[-1] == "\\" else ""
    place = f"{root}imagesTr{root[-1]}a.nii.gz{note}"
    assert f"listed in cases.csv, but {place} is missing" in str(error.value)


def test_a_missing_table_is_named(tmp_path):
    with pytest.raises(UserError, match=r"nowhere\.csv is missing; set data\.path to a CSV table"):
        opened(tmp_path / "nowhere.csv")
