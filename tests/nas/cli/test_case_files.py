"""Real files of public repositories, and odd ones, through predict and evaluate by command."""

import shutil
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from nas.cli.main import main
from tests.nas.exports import write_export
from tests.trainers.data.volumes import settings_of
from tests.trainers.oracle import segmenter
from trainers.evaluate import evaluate_folder
from trainers.volumes.preprocess import prepare_image

REFUSED = {  # file of `real` -> what is said, in one line
    "05_4d_oblique_extensions.nii.gz": "has 2 channels; the network expects 1",
    "05_nifti2_4d.nii.gz": "has 2 channels; the network expects 1",
    "06_5d_bigendian_scaled_qform_ne_sform.nii.gz": "has 5 axes (23x17x11x7x3)",
    "07_rgb.nii.gz": "has RGB voxels",
    "15_not_really_nifti.nii.gz": "cannot be read: truncated or no NIfTI file",
}
READ = (
    "04_bigendian_anatomical.nii",
    "09_sct_t2s.nii.gz",
    "09_sct_t2s_gmseg.nii.gz",
    "09_sct_t2s_label_int64.nii.gz",
)
LARGE = "03_brats_brainmask_scaled_int32.nii.gz"  # 240 x 240 x 155
ODD = {"obl": 5, "hspace": 3}  # how many files there are


@pytest.fixture(scope="module")
def export(tmp_path_factory, phantom_folder, phantom):
    _, cases = phantom
    return write_export(tmp_path_factory.mktemp("export") / "e", phantom_folder, cases)


def predict(export, images, to):
    return main(["predict", str(export), "--images", str(images), "--to", str(to)])


def check_written(image: Path, written: Path) -> None:
    told, found = nib.load(image), nib.load(written)
    np.testing.assert_array_equal(found.affine, told.affine)
    assert found.shape == told.shape[:3]
    assert found.get_data_dtype() == np.uint8
    assert found.header["descrip"].item() == b""
    assert (found.header["cal_max"], found.header["intent_code"]) == (0, 0)
    assert not found.header.extensions


def test_real_files_are_read_or_refused_in_one_line(case_files, export, tmp_path, capsys, segnas):
    images, out = tmp_path / "images", tmp_path / "out"
    images.mkdir()
    for name in (*REFUSED, *READ):
        shutil.copy(case_files / "real" / name, images)
    assert predict(export, images, out) == 1
    lines = capsys.readouterr().err.splitlines()
    for name, why in REFUSED.items():
        (line,) = [line for line in lines if line.startswith(f"  {name}")]
        assert why in line
    assert {path.name for path in out.iterdir()} == set(READ)
    for name in READ:
        check_written(images / name, out / name)
    told = segnas.refused("evaluate", export, "--images", images, "--labels", images)
    for name in REFUSED:
        assert f"  {name.removesuffix('.nii.gz')}  " in told


@pytest.mark.slow
def test_a_real_label_of_fractions_is_read(case_files, export, tmp_path, segnas):
    """1 reads as 0.99999997. The label is its own image; the untrained network may say anything."""
    for name in ("images", "labels"):
        (tmp_path / name).mkdir()
        shutil.copy(case_files / "real" / LARGE, tmp_path / name)
    folders = ["--images", str(tmp_path / "images"), "--labels", str(tmp_path / "labels")]
    assert segnas.json("evaluate", export, *folders)["dice_per_class"]["liver"] is not None


@pytest.mark.parametrize("spacing", [None, (1.0, 1.0, 1.0)])
def test_oblique_images_are_segmented_in_place(case_files, spacing):
    """Tissue is at 100, the two balls at 180 and 260, with noise of 10."""
    by_value = segmenter(spacing)
    window = by_value.spec.preprocess.model_copy(update={"window": (100, 420)})
    by_value = replace(by_value, spec=by_value.spec.model_copy(update={"preprocess": window}))
    found = evaluate_folder(by_value, case_files / "obl", case_files / "obl_truth")
    assert len(found.cases) == ODD["obl"]
    assert min(case.dice for case in found.cases.values()) > 0.9


@pytest.mark.parametrize("folder", ODD)
def test_odd_geometries_are_written_where_the_image_is(case_files, export, tmp_path, folder):
    assert predict(export, case_files / folder, tmp_path / "out") == 0
    written = sorted((tmp_path / "out").iterdir())
    assert len(written) == ODD[folder]
    for path in written:
        check_written(case_files / folder / path.name, path)


def test_metre_and_micrometre_give_the_millimetres_result(case_files):
    files = [case_files / "hspace" / f"{name}.nii.gz" for name in ("normal", "meter", "micron")]
    images = [prepare_image(file, settings_of(), (1.0, 1.0, 1.2)).image for file in files]
    for image in images[1:]:
        np.testing.assert_allclose(image, images[0], atol=1e-3)


def test_one_voxel_does_not_flatten_a_case(case_files):
    """All other voxels are as they are without it."""
    with_it = prepare_image(case_files / "outlier.nii.gz", settings_of(), None)
    without = prepare_image(case_files / "hspace" / "normal.nii.gz", settings_of(), None)
    apart = np.abs(with_it.image - without.image)
    assert np.sort(apart.ravel())[-2] < 0.05
