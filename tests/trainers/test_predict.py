"""Folders of cases: what is written where, what is left out, and what goes on after a bad file."""

import os
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest

from tests.trainers.oracle import segmenter, truth, write, write_cases
from trainers.errors import UserError
from trainers.evaluate import evaluate_folder
from trainers.predict import predict_folder


@pytest.fixture
def folder(tmp_path):
    return write_cases(tmp_path)


def names_in(path):
    return sorted(file.name for file in path.iterdir())


def test_predictions_have_the_shape_and_affine_of_their_images(folder):
    seen = []
    done = predict_folder(
        segmenter(), folder / "images", folder / "out", lambda *step: seen.append(step)
    )
    assert [path.name for path in done.written] == ["a.nii.gz", "b.nii.gz"]
    assert seen == [(1, 2, "segmented"), (2, 2, "segmented")]
    for path in done.written:
        image, found = nib.load(folder / "images" / path.name), nib.load(path)
        assert found.shape == image.shape
        np.testing.assert_array_equal(found.affine, image.affine)
        assert found.get_data_dtype() == np.uint8
        expected = nib.load(folder / "labels" / path.name).get_fdata()
        np.testing.assert_array_equal(found.get_fdata(), expected)


def test_a_single_file_may_be_given(folder):
    done = predict_folder(segmenter(), folder / "images" / "b.nii.gz", folder / "out")
    assert [path.name for path in done.written] == ["b.nii.gz"]


@pytest.mark.parametrize("images", ["images", "images/a.nii.gz"])
def test_predictions_never_overwrite_the_images(folder, images):
    with pytest.raises(UserError, match="holds the images"):
        predict_folder(segmenter(), folder / images, folder / "labels" / ".." / "images")


def test_a_folder_without_volumes_is_told(folder):
    (folder / "empty").mkdir()
    with pytest.raises(UserError, match=r"empty has no \.nii or \.nii\.gz file"):
        predict_folder(segmenter(), folder / "empty", folder / "out")


def test_a_file_of_another_kind_is_told(folder):
    (folder / "notes.txt").write_text("")
    with pytest.raises(UserError, match=r"notes\.txt is no \.nii or \.nii\.gz file"):
        predict_folder(segmenter(), folder / "notes.txt", folder / "out")


def test_broken_files_are_listed_with_their_reasons_and_the_others_go_on(folder):
    images = folder / "images"
    (images / "a0.nii.gz").write_bytes(b"nothing")
    whole = (images / "b.nii.gz").read_bytes()
    (images / "a1.nii.gz").write_bytes(whole[: len(whole) // 2])
    write(images / "a2.nii.gz", np.full((8, 8, 8), np.nan, np.float32))
    done = predict_folder(segmenter(), images, folder / "out")
    assert [path.name for path in done.written] == ["a.nii.gz", "b.nii.gz"]
    assert done.failed.keys() == {"a0.nii.gz", "a1.nii.gz", "a2.nii.gz"}
    assert "truncated or no NIfTI file" in done.failed["a0.nii.gz"]
    assert "NaN or infinite" in done.failed["a2.nii.gz"]
    assert names_in(folder / "out") == ["a.nii.gz", "b.nii.gz"]


@pytest.mark.parametrize("name", ["labelsTr", "imagesTs"])
def test_the_files_of_a_data_set_are_not_written_over(folder, name):
    (folder / "dataset.json").write_text("{}")
    write(folder / name / "a.nii.gz", np.ones((8, 8, 8), np.uint8))
    before = (folder / name / "a.nii.gz").read_bytes()
    with pytest.raises(UserError, match=f"{name} holds the cases of a data set"):
        predict_folder(segmenter(), folder / "images", folder / "x" / ".." / name)
    assert (folder / name / "a.nii.gz").read_bytes() == before


def test_a_segmentation_is_whole_or_not_there(folder, monkeypatch):
    """The disk is full half way: what was there before stays, and no draft is left."""

    def full(image, path):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    predict_folder(segmenter(), folder / "images", folder / "out")
    before = (folder / "out" / "a.nii.gz").read_bytes()
    monkeypatch.setattr("trainers.volumes.nifti.nib.save", full)
    done = predict_folder(segmenter(), folder / "images", folder / "out")
    assert done.failed["a.nii.gz"] == "OSError: [Errno 28] No space left on device"
    assert (folder / "out" / "a.nii.gz").read_bytes() == before
    assert names_in(folder / "out") == ["a.nii.gz", "b.nii.gz"]


def test_an_interruption_leaves_no_draft_and_the_rest_is_done_later(folder, monkeypatch):
    out = folder / "out"

    def interrupt(done, total, what):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        predict_folder(segmenter(), folder / "images", out, interrupt)
    assert names_in(out) == ["a.nii.gz"]
    (out / "a.nii.gz").write_bytes(b"as it was")
    done = predict_folder(segmenter(), folder / "images", out, skip_existing=True)
    assert [path.name for path in done.skipped] == ["a.nii.gz"]
    assert [path.name for path in done.written] == ["b.nii.gz"]
    assert (out / "a.nii.gz").read_bytes() == b"as it was"


def test_a_link_in_the_output_folder_is_replaced_and_not_followed(folder):
    (folder / "precious").write_text("mine")
    (folder / "out").mkdir()
    (folder / "out" / "a.nii.gz").symlink_to(folder / "precious")
    predict_folder(segmenter(), folder / "images", folder / "out")
    assert (folder / "precious").read_text() == "mine"
    assert not (folder / "out" / "a.nii.gz").is_symlink()


def test_upper_case_endings_are_read_and_written_in_lower_case(folder):
    images = folder / "images"
    (images / "a.nii.gz").rename(images / "A.NII.GZ")
    second = nib.load(images / "b.nii.gz")
    nib.save(nib.Nifti2Image(second.get_fdata(), second.affine), images / "b.nii.gz")
    (images / "b.nii.gz").rename(images / "größe é.Nii.gz")
    done = predict_folder(segmenter(), images, folder / "out")
    assert names_in(folder / "out") == ["A.nii.gz", "größe é.nii.gz"], done.failed
    found = nib.load(done.written[0]).get_fdata()
    np.testing.assert_array_equal(found, nib.load(folder / "labels" / "a.nii.gz").get_fdata())


def test_what_is_no_nifti_is_named(folder):
    (folder / "images" / "c.mha").touch()
    with pytest.warns(UserWarning, match=r"images: ignored c\.mha"):
        predict_folder(segmenter(), folder / "images", folder / "out")


def test_links_to_images_are_followed_and_the_images_never_overwritten(folder):
    links = folder / "links"
    links.mkdir()
    (links / "a.nii.gz").symlink_to(folder / "images" / "a.nii.gz")
    done = predict_folder(segmenter(), links, folder / "out")
    assert names_in(folder / "out") == ["a.nii.gz"]
    assert not done.failed
    before = (folder / "images" / "a.nii.gz").read_bytes()
    with pytest.raises(UserError, match="holds the images"):
        predict_folder(segmenter(), links, folder / "images")
    assert (folder / "images" / "a.nii.gz").read_bytes() == before


def test_a_link_that_leads_to_itself_does_not_stop_the_others(folder):
    loop = folder / "images" / "loop.nii.gz"
    loop.symlink_to(loop)
    (folder / "images" / "gone.nii.gz").symlink_to(folder / "nowhere")
    done = predict_folder(segmenter(), folder / "images", folder / "out")
    assert done.failed.keys() == {"loop.nii.gz", "gone.nii.gz"}
    assert all("cannot be read: " in reason for reason in done.failed.values())
    assert names_in(folder / "out") == ["a.nii.gz", "b.nii.gz"]
    with pytest.raises(UserError, match=r"is missing; expected an image \(NIfTI, NRRD, MetaImage"):
        predict_folder(segmenter(), loop, folder / "out2")


def test_an_output_folder_among_the_images(folder):
    out = folder / "images" / "out"
    predict_folder(segmenter(), folder / "images", out)
    assert names_in(out) == ["a.nii.gz", "b.nii.gz"]
    with pytest.warns(UserWarning, match="ignored out"):
        again = predict_folder(segmenter(), folder / "images", out, skip_existing=True)
    assert len(again.skipped) == 2


def test_a_file_in_place_of_the_output_folder_is_refused(folder):
    (folder / "out").write_text("mine")
    with pytest.raises(UserError, match="out cannot be made a folder"):
        predict_folder(segmenter(), folder / "images", folder / "out")
    assert (folder / "out").read_text() == "mine"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(folder):
    (folder / "images" / "a.nii.gz").chmod(0)
    done = predict_folder(segmenter(), folder / "images", folder / "out")
    assert "cannot be read: Permission denied" in done.failed["a.nii.gz"]


def test_a_folder_is_no_image(folder):
    with pytest.raises(UserError, match="images cannot be read"):
        segmenter().segment(folder / "images")


def test_dicom_seg_of_nifti_is_refused(folder):
    with pytest.raises(UserError, match="refers to the DICOM images"):
        predict_folder(segmenter(), folder / "images", folder / "out", format="dicom-seg")


# DICOM

SHAPE = (6, 12, 9)


@pytest.fixture
def series(tmp_path):
    """A folder with two series of which the truth is known."""
    from tests.trainers.dicom_series import write_series

    for name, seed in (("x", 0), ("y", 1)):
        write_series(tmp_path / "dicom" / name, truth(SHAPE, seed) * 100.0)
    return tmp_path


def test_a_dicom_series_gives_a_dicom_seg(series):
    import highdicom

    done = predict_folder(segmenter(), series / "dicom", series / "out")
    assert [path.name for path in done.written] == ["x.dcm", "y.dcm"]
    for path, seed in zip(done.written, (0, 1), strict=True):
        found = highdicom.seg.segread(path)
        volume = found.get_volume(combine_segments=True)
        np.testing.assert_array_equal(volume.array, truth(SHAPE, seed))


def test_a_dicom_series_gives_nifti_where_that_is_asked_for(series):
    from tests.trainers.dicom_series import lps_affine

    done = predict_folder(segmenter(), series / "dicom", series / "out", format="nifti")
    found = nib.load(done.written[1])
    np.testing.assert_array_equal(found.get_fdata(), truth(SHAPE, 1))
    to_ras = np.diag([-1, -1, 1, 1])
    np.testing.assert_allclose(found.affine, to_ras @ lps_affine(), atol=1e-4)


def test_both_formats_of_one_series_are_the_same_voxels(series):
    """A network of another spacing and orientation; through both files into patient coordinates."""
    import highdicom

    network = segmenter(spacing=(1.0, 1.0, 1.0))
    (nifti, _) = predict_folder(network, series / "dicom", series / "out", format="nifti").written
    (seg, _) = predict_folder(network, series / "dicom", series / "out").written
    image = nib.load(nifti)
    volume = highdicom.seg.segread(seg).get_volume(combine_segments=True)
    np.testing.assert_array_equal(volume.array, image.get_fdata())
    np.testing.assert_allclose(volume.get_affine("RAS"), image.affine, atol=1e-4)


def test_a_broken_series_does_not_stop_the_others(series):
    (series / "dicom" / "x" / "003.dcm").unlink()
    done = predict_folder(segmenter(), series / "dicom", series / "out")
    assert [path.name for path in done.written] == ["y.dcm"]
    assert "a slice is missing" in done.failed["x"]
    assert names_in(series / "out") == ["y.dcm"]


def test_nifti_beside_dicom_is_refused(series):
    write(series / "dicom" / "a.nii.gz", np.zeros((8, 8, 8), np.float32))
    with pytest.raises(UserError, match="holds NIfTI and DICOM"):
        predict_folder(segmenter(), series / "dicom", series / "out")
    with pytest.raises(UserError, match="holds NIfTI and DICOM"):
        evaluate_folder(segmenter(), series / "dicom", series / "labels")


def test_outlines_in_dicom_of_a_network_that_ignores_a_class_are_refused(series):
    network = segmenter()
    spec = network.spec.model_copy(
        update={"task": network.spec.task.model_copy(update={"ignore": 3})}
    )
    with pytest.raises(UserError, match="the number 3, which has no name that outlines"):
        evaluate_folder(replace(network, spec=spec), series / "dicom", series / "dicom")


@pytest.mark.filterwarnings("ignore:.*ignored DICOM")
def test_dicom_without_a_series_of_slices_is_told(series):
    predict_folder(segmenter(), series / "dicom", series / "out")
    with pytest.raises(UserError, match="no CT, MR, PT series"):
        predict_folder(segmenter(), series / "out", series / "out2")
