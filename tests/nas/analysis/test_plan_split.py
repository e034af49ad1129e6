"""Which split a plan draws: one that its search does not refuse."""

import numpy as np
import pytest

from nas.analysis.plan.data_survey import survey_data
from nas.analysis.plan.split import choose_split, draw_cases
from tests.trainers.data.volumes import SHAPE, write_msd, write_nifti
from trainers.data.msd import MsdData
from trainers.data.splits import split_cases
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
