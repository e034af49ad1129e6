"""Images as the training took them: a file for each channel, other formats than NIfTI."""

import numpy as np
import pytest
from PIL import Image
from torch import nn

from tests.trainers.data.layouts import write_volume
from tests.trainers.oracle import CLASSES, CROOKED, Oracle, segmenter, truth
from trainers.data.config import Preprocess
from trainers.data.task import Task
from trainers.data.volume_folder import find_images
from trainers.errors import UserError
from trainers.evaluate import evaluate_folder
from trainers.predict import predict_folder
from trainers.segmenter import Segmenter, SegmenterSpec
from trainers.volumes.nifti import load_labels, load_volume

SHAPES = {"a": (9, 12, 7), "b": (16, 6, 10)}


class LastChannel(nn.Module):
    """The oracle, of the last of two channels."""

    def __init__(self):
        super().__init__()
        self.oracle = Oracle()

    def forward(self, x):
        return self.oracle(x[:, 1:])


def of_two_channels() -> Segmenter:
    return Segmenter(
        network=LastChannel().eval(),
        spec=SegmenterSpec(
            task=Task(channels=2, classes=CLASSES, spacing=None, patch=(8, 8, 8)),
            preprocess=Preprocess(spacing="native", crop="none", intensity="ct", window=(0, 400)),
            overlap=0.25,
        ),
    )


@pytest.fixture
def channels(tmp_path):
    """Cases a and b of two channels in nnU-Net's names; the second tells the label."""
    for name, shape in SHAPES.items():
        values = truth(shape)
        for channel, image in enumerate((np.zeros(shape), values * 100)):
            file = tmp_path / "images" / f"{name}_{channel:04}.nii.gz"
            write_volume(file, image.astype(np.float32), CROOKED)
        write_volume(tmp_path / "labels" / f"{name}.nii.gz", values, CROOKED)
    return tmp_path


def in_format(folder, ending, names="{}"):
    """Cases a and b of one channel, whose segmentations are perfect."""
    for name, shape in SHAPES.items():
        values = truth(shape)
        file = names.format(name) + ending
        write_volume(folder / "images" / file, values.astype(np.float32) * 100, CROOKED)
        write_volume(folder / "labels" / f"{name}{ending}", values, CROOKED)
    return folder


def test_files_of_channels_are_one_case(channels):
    done = predict_folder(of_two_channels(), channels / "images", channels / "out")
    assert [file.name for file in done.written] == ["a.nii.gz", "b.nii.gz"], done.failed
    for name in SHAPES:
        found, expected = (
            load_volume(channels / part / f"{name}.nii.gz") for part in ("out", "labels")
        )
        np.testing.assert_array_equal(found.numpy(), expected.numpy())
        np.testing.assert_array_equal(np.asarray(found.affine), np.asarray(expected.affine))


def test_files_of_channels_are_evaluated(channels):
    done = evaluate_folder(of_two_channels(), channels / "images", channels / "labels")
    assert list(done.cases) == ["a", "b"]
    assert done.dice == 1.0


def test_a_single_file_of_a_channel_too_few_is_refused(channels):
    image = channels / "images" / "a_0000.nii.gz"
    done = predict_folder(of_two_channels(), image, channels / "out")
    assert done.failed == {"a_0000.nii.gz": f"{image} has 1 channels; the network expects 2"}


def test_a_case_that_lacks_a_channel_is_named(channels):
    (channels / "images" / "b_0001.nii.gz").unlink()
    told = "b has the channels _0000; the network expects _0000 to _0001"
    with pytest.raises(UserError, match=told):
        predict_folder(of_two_channels(), channels / "images", channels / "out")
    with pytest.raises(UserError, match=told):
        evaluate_folder(of_two_channels(), channels / "images", channels / "labels")


def test_one_channel_in_nnunets_names(tmp_path):
    folder = in_format(tmp_path, ".nii.gz", "{}_0000")
    assert evaluate_folder(segmenter(), folder / "images", folder / "labels").dice == 1.0
    done = predict_folder(segmenter(), folder / "images", folder / "out")
    assert [file.name for file in done.written] == ["a.nii.gz", "b.nii.gz"], done.failed


def test_a_picture_of_all_channels_in_nnunets_names(tmp_path):
    for part, end, shape in (("images", "_0000.png", (12, 9, 3)), ("labels", ".png", (12, 9))):
        (tmp_path / part).mkdir()
        Image.fromarray(np.zeros(shape, np.uint8)).save(tmp_path / part / f"a{end}")
    assert find_images(tmp_path / "images", 3) == {"a": tmp_path / "images" / "a_0000.png"}


def test_names_with_other_numbers_are_names(tmp_path):
    folder = in_format(tmp_path, ".nii.gz")
    for number, name in enumerate("ab"):
        for part in ("images", "labels"):
            file = folder / part / f"{name}.nii.gz"
            file.rename(file.with_name(f"case_{number:04}.nii.gz"))
    done = evaluate_folder(segmenter(), folder / "images", folder / "labels")
    assert list(done.cases) == ["case_0000", "case_0001"]


@pytest.mark.parametrize(
    ("ending", "written"), [(".nrrd", ".nrrd"), (".mha", ".mha"), (".mhd", ".mha")]
)
def test_other_formats_give_their_own(tmp_path, ending, written):
    pytest.importorskip("SimpleITK")
    folder = in_format(tmp_path, ending)
    assert evaluate_folder(segmenter(), folder / "images", folder / "labels").dice == 1.0
    done = predict_folder(segmenter(), folder / "images", folder / "out")
    assert [file.name for file in done.written] == [f"a{written}", f"b{written}"], done.failed
    for file in done.written:
        found, expected = load_volume(file), load_volume(folder / "labels" / (file.stem + ending))
        np.testing.assert_array_equal(found.numpy(), expected.numpy())
        np.testing.assert_allclose(np.asarray(found.affine), np.asarray(expected.affine))
    done = predict_folder(segmenter(), folder / "images", folder / "nifti", format="nifti")
    assert [file.name for file in done.written] == ["a.nii.gz", "b.nii.gz"], done.failed


def test_other_formats_beside_nifti_are_left_out(tmp_path):
    pytest.importorskip("SimpleITK")
    folder = in_format(tmp_path, ".nii.gz")
    write_volume(folder / "images" / "c.mha", truth((8, 8, 8)), CROOKED)
    with pytest.warns(UserWarning, match=r"images: ignored c\.mha \(no \.nii or \.nii\.gz file\)"):
        done = predict_folder(segmenter(), folder / "images", folder / "out")
    assert [file.name for file in done.written] == ["a.nii.gz", "b.nii.gz"]


def test_pictures_give_pictures(tmp_path):
    (tmp_path / "images").mkdir()
    labels = truth((12, 9, 1))
    for name in ("a.png", "b.jpg"):
        Image.fromarray(labels[:, :, 0].T * 100).save(tmp_path / "images" / name, quality=100)
    done = predict_folder(segmenter(), tmp_path / "images", tmp_path / "out")
    assert [file.name for file in done.written] == ["a.png", "b.png"], done.failed
    np.testing.assert_array_equal(load_labels(done.written[0]), labels)
