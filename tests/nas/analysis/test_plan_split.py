"""Which split a plan draws: one that its search does not refuse."""

import json

import numpy as np
import pytest

from nas.analysis.plan.data_survey import survey_data
from nas.analysis.plan.split import choose_split, draw_cases, plan_split
from tests.trainers.data.layouts import nnunet_of, pair_of, table_of
from tests.trainers.data.volumes import SHAPE, write_msd, write_nifti
from trainers.data.config import OwnSplit, Split
from trainers.data.msd import MsdData
from trainers.data.nnunet import NnunetData
from trainers.data.splits import split_cases
from trainers.data.table import CsvData
from trainers.errors import UserError

SIX = [f"c{n}" for n in range(6)]


def labelled(folder, names):
    """A survey of six cases of which only `names` have labels that are not background."""
    write_msd(folder / "data", SIX)
    for name in set(SIX) - set(names):
        write_nifti(folder / "data" / "labelsTr" / f"{name}.nii.gz", np.zeros(SHAPE, np.uint8))
    return survey_data(MsdData(path=folder / "data"), folder, lambda *_: None)


def test_a_split_is_drawn_again_until_training_and_validation_have_labels(tmp_path):
    wanted = choose_split(SIX, None)
    first = split_cases(SIX, wanted.value)
    survey = labelled(tmp_path, first.train[:2])  # so that validation has none
    split, cases = draw_cases(survey, wanted)
    assert cases == split_cases(SIX, split.value) != first
    assert set(cases.validation) & set(first.train[:2])
    assert set(cases.train) & set(first.train[:2])


def test_a_draw_that_can_be_used_stays(tmp_path):
    wanted = choose_split(SIX, None)
    split, cases = draw_cases(labelled(tmp_path, SIX), wanted)
    assert split == wanted
    assert cases == split_cases(SIX, wanted.value)


def test_one_labelled_case_is_too_few_for_any_split(tmp_path):
    survey = labelled(tmp_path, SIX[:1])
    with pytest.raises(UserError, match=r"no (training|validation) case has any class"):
        draw_cases(survey, choose_split(SIX, None))


def surveyed(source, folder):
    return survey_data(source, folder, lambda *_: None)


def test_the_split_of_the_data_is_the_plan(tmp_path):
    folder = nnunet_of(write_msd(tmp_path / "msd", SIX), tmp_path / "Dataset001")
    folds = [{"train": SIX[1:], "val": SIX[:1]}, {"train": SIX[:3], "val": SIX[3:]}]
    (folder / "splits_final.json").write_text(json.dumps(folds))
    split, _, cases = plan_split(surveyed(NnunetData(path=folder), tmp_path))
    assert split.value == OwnSplit(fold=0)
    assert split.why == "of dataset.json: the first of its 2 folds"
    assert cases.validation == ("c0",)


def test_a_split_of_the_data_that_a_search_refuses_is_refused(tmp_path):
    msd = write_msd(tmp_path / "msd", SIX)
    write_nifti(msd / "labelsTr" / "c5.nii.gz", np.zeros(SHAPE, np.uint8))
    parts = [{"split": "validation" if name == "c5" else "training"} for name in SIX]
    rows = [pair_of(msd, name) | part for name, part in zip(SIX, parts, strict=True)]
    table = table_of(msd, tmp_path / "cases.csv", rows)
    source = CsvData(path=table, classes=("background", "low", "high"))
    with pytest.raises(UserError, match="no validation case has any class"):
        plan_split(surveyed(source, tmp_path))


def test_groups_of_the_data_stay_together_in_what_is_drawn(tmp_path):
    msd = write_msd(tmp_path / "msd", SIX)
    rows = [pair_of(msd, name) | {"group": "xyz"[n // 2]} for n, name in enumerate(SIX)]
    table = table_of(msd, tmp_path / "cases.csv", rows)
    source = CsvData(path=table, classes=("background", "low", "high"))
    split, groups, cases = plan_split(surveyed(source, tmp_path))
    assert split.value == Split(validation=0.2)
    assert "3 patients are too few" in split.why
    assert groups.why == "cases.csv says which cases stay together"
    assert len(cases.validation) == 2 and len({SIX.index(n) // 2 for n in cases.validation}) == 1
