"""A search goes on with the data that it began with, and with no others."""

import os
import shutil

import nibabel as nib
import numpy as np
import pytest

from nas.report.comparison import compare
from nas.report.search_record import SearchRecord
from nas.search.components import data_space, fixed_settings, study_settings, training_costs
from nas.search.opening import Confirm, Place, begin
from nas.search.same_data import files_of_search, with_files_of_first
from nas.study.study import Study
from search_spaces.axes import ALIKE
from tests.nas.results import flat_result
from tests.nas.small_run import config
from tests.trainers.data.volumes import write_msd
from trainers.data.prepare import prepare_data
from trainers.errors import UserError

NAMES = [f"case_{n}" for n in range(4)]


@pytest.fixture
def run(tmp_path):
    folder = write_msd(tmp_path / "data", NAMES)
    preprocess = {"spacing": "native", "crop": "none", "intensity": "robust"}
    return config(data={"source": "msd", "path": str(folder), "preprocess": preprocess})


@pytest.fixture
def directory(tmp_path):
    (folder := tmp_path / "search").mkdir()
    return folder


def opened(run, directory, without=()):
    """The search's study, as `begin` opens it."""
    cache, cases = prepare_data(run.data, directory)
    names = (*cases.train, *cases.validation)
    files = files_of_search(directory, run.data.cache_folder(directory), cache, names)
    fixed = fixed_settings(run, cache, cases, None, ALIKE, files)
    fixed = {name: value for name, value in fixed.items() if name not in without}
    settings = study_settings(run, data_space(run, cache))
    return Study.open(directory, settings, training_costs(run, cache), fixed=fixed)


def correct_a_label(run):
    """Another voxel of one case is of class 1."""
    path = run.data.path / "labelsTr" / "case_0.nii.gz"
    label = np.asarray(nib.load(path).dataobj).copy()
    label[0, 0, 0] = 1
    nib.save(nib.Nifti1Image(label, np.eye(4)), path)


def test_labels_corrected_in_place_are_other_data(run, directory):
    opened(run, directory)
    correct_a_label(run)
    with pytest.raises(UserError, match=r"data: the cases have other files"):
        opened(run, directory)


def test_files_that_were_copied_are_the_same_data_while_their_volumes_are_known(run, directory):
    opened(run, directory)
    for path in run.data.path.rglob("*.nii.gz"):
        os.utime(path, (1, 1))
    opened(run, directory)
    opened(run, directory)  # of three caches there may be by now it is still the first that counts
    [first] = [path for path in (directory / "cache").iterdir() if _is_recorded(path, directory)]
    shutil.rmtree(first)
    with pytest.raises(UserError, match=r"times of change"):
        opened(run, directory)


def _is_recorded(cache, directory):
    return cache.name in (directory / "journal.log").read_text()


def test_a_search_of_before_goes_on_with_whatever_has_its_names(run, directory):
    opened(run, directory, without=("data.files",))
    correct_a_label(run)
    opened(run, directory)


def test_what_was_prepared_otherwise_is_told_as_that_alone(run, directory):
    opened(run, directory)
    preprocess = run.data.preprocess.model_copy(update={"crop": "foreground"})
    other = run.model_copy(update={"data": run.data.model_copy(update={"preprocess": preprocess})})
    with pytest.raises(UserError, match=r"data\.preprocess\.crop was") as error:
        opened(other, directory)
    assert "other files" not in str(error.value)


def confirm(run, directory):
    """Trains the best again, of which there is none."""
    cache, cases = prepare_data(run.data, directory)
    begin(run, directory, Place(None, 1, "", cache, cases, None), Confirm(1, 1))


def test_networks_are_trained_again_on_the_data_of_their_search_alone(run, directory):
    opened(run, directory)
    with pytest.raises(UserError, match=r"no candidate that was trained"):
        confirm(run, directory)
    correct_a_label(run)
    with pytest.raises(UserError, match=r"data: the cases have other files"):
        confirm(run, directory)
    write_msd(run.data.path, [*NAMES, "case_4", "case_5", "case_6"])
    with pytest.raises(UserError, match=r"data\.split\.training was"):
        confirm(run, directory)


def test_of_a_search_of_before_no_more_is_compared_than_it_recorded(run, directory):
    opened(run, directory, without=("data.files",))
    correct_a_label(run)
    with pytest.raises(UserError, match=r"no candidate that was trained"):
        confirm(run, directory)


def record(run, directory):
    """A search of one trained network there."""
    directory.mkdir(exist_ok=True)
    settings = opened(run, directory)._study.user_attrs["facts"]
    network = flat_result(key="a", number=0, architecture={}, state="complete", dice=0.5, params=9)
    return SearchRecord(
        results=(network,), objectives=("dice", "params"), title="", classes=(), settings=settings
    )


def test_searches_whose_files_were_copied_or_made_by_each_are_of_the_same_data(run, tmp_path):
    names = ("one", "two")
    caches = {name: tmp_path / name / "cache" for name in names}
    first = record(run, tmp_path / "one")
    for path in run.data.path.rglob("*.nii.gz"):
        os.utime(path, (1, 1))
    searches = dict(zip(names, (first, record(run, tmp_path / "two")), strict=True))
    with pytest.raises(UserError, match="the cases of two have other files than those of one"):
        compare(searches)
    assert compare(with_files_of_first(searches, caches))
    correct_a_label(run)
    searches["two"] = record(run, tmp_path / "again")
    caches["two"] = tmp_path / "again" / "cache"
    with pytest.raises(UserError, match="other files"):
        compare(with_files_of_first(searches, caches))
    shutil.rmtree(caches["one"])
    with pytest.raises(UserError, match="other files"):
        compare(with_files_of_first(searches, caches))
