"""A MONAI Bundle reads and writes volumes of every geometry voxel by voxel as segnas does."""

import gzip
import struct
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from torch import nn

from nas.export.deploy.bundle import run_bundle
from nas.export.deploy.deploy import Source, deploy
from nas.export.deploy.open_segmenter import open_segmenter
from nas.export.deploy.parity_check import CheckCase
from tests.nas.export.test_deploy import QUICK, Shrink
from tests.slow import and_slow
from tests.trainers.oracle import CROOKED, Oracle, truth, write
from trainers.data.config import Preprocess
from trainers.data.task import Task
from trainers.errors import UserError
from trainers.predict import predict_folder
from trainers.segmenter import Segmenter, SegmenterSpec

SHAPE = (9, 12, 7)
SIZES = np.diag([1.0, 1.3, 2.0, 1.0])
PIXDIM = 76 + 4  # bytes into a NIfTI-1 header: pixdim[1]

STRIDES = (2, 2, 2)


def rotated(rotation: Rotation, sizes: np.ndarray) -> np.ndarray:
    affine = np.eye(4)
    affine[:3, :3] = rotation.as_matrix()
    affine[:3, 3] = (-30, 12, 5)
    return affine @ sizes


def euler(axes: str, *degrees: float, sizes: np.ndarray = SIZES) -> np.ndarray:
    return rotated(Rotation.from_euler(axes, degrees, degrees=True), sizes)


def affines() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(15)
    found = {
        "plain": SIZES,
        "crooked": CROOKED,
        "left-handed": np.diag([-1, 1, 1, 1]) @ euler("z", 20),
        "tie of one axis": euler("z", 45),
        "tie of two axes": euler("yx", 45, 45),
        "tie of equal voxels": euler("xy", 45, 45, sizes=np.eye(4)),
        "tie, left-handed": euler("zx", 45, 135, sizes=np.diag([1.5, -1, 1, 1])),
        "sheared by 1.5 degrees": SIZES + np.array([[0, 0.026, 0, 0], *np.zeros((3, 4))]),
    }
    for index, rotation in enumerate(Rotation.random(12, rng)):
        sizes = rng.uniform(0.7, 2.5, 3) * ((-1) ** index, 1, 1)
        found[f"rotation {index}"] = rotated(rotation, np.diag([*sizes, 1]))
    return found


def blocks(name: str) -> tuple[np.ndarray, np.ndarray]:
    """An image that holds 100 times its label, and the label."""
    shape = np.random.default_rng(len(name)).permutation(SHAPE)
    label = truth(shape, len(name))
    return label.astype(np.float32) * 100, label


def in_unit(unit: str, factor: float) -> nib.Nifti1Image:
    volume = nib.Nifti1Image(blocks(unit)[0], np.diag([factor] * 3 + [1]) @ euler("y", 30))
    volume.header.set_xyzt_units(unit)
    return volume


def two_places() -> nib.Nifti1Image:
    volume = nib.Nifti1Image(blocks("both")[0], SIZES)
    volume.set_qform(euler("zx", 50, 20, sizes=SIZES * 1.2), 1)
    return volume


def qform_alone() -> nib.Nifti1Image:
    volume = nib.Nifti1Image(blocks("qform")[0], None)
    volume.set_qform(euler("xy", 45, 45), 1)
    return volume


def decorated() -> nib.Nifti1Image:
    volume = nib.Nifti1Image(blocks("text")[0], CROOKED)
    volume.header.set_intent("estimate", name="a name")
    volume.header["descrip"], volume.header["cal_max"] = b"a patient", 7
    return volume


def outlier() -> nib.Nifti1Image:
    values = blocks("outlier")[0]
    values[4, 3, 2] = 1e6
    return nib.Nifti1Image(values, euler("z", 45))


VOLUMES = {
    **{name: nib.Nifti1Image(blocks(name)[0], affine) for name, affine in affines().items()},
    "metre": in_unit("meter", 0.001),
    "micrometre": in_unit("micron", 1000.0),
    "sform and qform differ": two_places(),
    "qform alone": qform_alone(),
    "no codes": nib.Nifti1Image(blocks("no codes")[0], None),
    "affine and pixdim differ": nib.Nifti1Image(blocks("pixdim")[0], CROOKED),
    "trailing 1": nib.Nifti1Image(blocks("trailing")[0][..., None], CROOKED),
    "one slice": nib.Nifti1Image(blocks("slice")[0][..., :1], euler("x", 45)),
    "NIfTI-2": nib.Nifti2Image(blocks("second")[0], euler("yz", 45, 45)),
    "decorated header": decorated(),
    "constant": nib.Nifti1Image(np.full(SHAPE, 100, np.int16), euler("xy", 45, 45)),
    "outlier": outlier(),
}

CT = {"intensity": "ct", "window": (0, 400), "spacing": "native", "crop": "none"}
SPACED = {"spacing": (1.0, 1.5, 1.2), "orientation": "LPS"}
READINGS = {
    "ct": Preprocess(**CT),
    "ct resampled": Preprocess(**{**CT, "spacing": (1.3, 1.0, 1.6), "crop": "foreground"}),
    "zscore": Preprocess(intensity="zscore", spacing="native"),
    "zscore resampled": Preprocess(intensity="zscore", **SPACED),
    "robust": Preprocess(spacing="native"),
    "percentiles": Preprocess(intensity="percentiles", range=(-1, 1), spacing="native"),
    "robust resampled": Preprocess(**SPACED),
    "qform": Preprocess(affine="qform", intensity="zscore", **SPACED),
    "pixdim": Preprocess(affine="pixdim", intensity="zscore", **SPACED),
}


def segmenter(preprocess: Preprocess, network: nn.Module, classes: int) -> Segmenter:
    spacing = None if preprocess.spacing == "native" else preprocess.spacing
    names = ("background", *(f"class {index}" for index in range(1, classes)))
    task = Task(channels=1, classes=names, spacing=spacing, patch=(8, 8, 8))
    return Segmenter(
        network=network.eval(),
        spec=SegmenterSpec(task=task, preprocess=preprocess, overlap=0.25),
    )


def bundle_of(made_of: Segmenter, folder: Path, image: Path) -> Path:
    source = Source(segmenter=made_of, strides=STRIDES, name="small", key="01234", weights="trial")
    deploy(source, [CheckCase("x", image, None)], "bundle", "fp32", folder, QUICK)
    return folder


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    for name, volume in VOLUMES.items():
        nib.save(volume, folder / f"{name}.nii.gz")
    file = folder / "affine and pixdim differ.nii.gz"
    content = bytearray(gzip.decompress(file.read_bytes()))
    content[PIXDIM : PIXDIM + 12] = struct.pack("<3f", 1.6, 1.6, 5.0)
    file.write_bytes(gzip.compress(content))
    return folder


QUICK_READINGS = ("ct", "ct resampled", "zscore resampled", "percentiles", "pixdim")


def readings():
    for name in READINGS:
        yield name if name in QUICK_READINGS else pytest.param(name, marks=pytest.mark.slow)


@pytest.fixture(scope="module", params=readings())
def reading(request, images, tmp_path_factory):
    """A way of reading, and the files that segnas and a bundle make of all images with it."""
    folder = tmp_path_factory.mktemp("reading")
    torch.manual_seed(3)
    preprocess = READINGS[request.param]
    ours = segmenter(preprocess, *((Oracle(), 3) if preprocess.window else (Shrink(), 4)))
    expected = predict_folder(ours, images, folder / "segnas")
    assert not expected.failed
    bundle = bundle_of(ours, folder / "bundle", images / "plain.nii.gz")
    run_bundle(bundle, sorted(images.iterdir()), folder / "made")
    return request.param, folder / "made", folder / "segnas"


@pytest.mark.parametrize("name", VOLUMES)
def test_a_bundle_makes_the_file_that_segnas_makes(reading, name):
    how, *folders = reading
    made, expected = (nib.load(folder / f"{name}.nii.gz") for folder in folders)
    labels = np.asanyarray(made.dataobj)
    np.testing.assert_array_equal(labels, np.asanyarray(expected.dataobj))
    assert made.header.binaryblock == expected.header.binaryblock
    if how == "ct":  # the image tells its labels, and nothing moves them from there
        values = VOLUMES[name].get_fdata().reshape(labels.shape)
        np.testing.assert_array_equal(labels, np.minimum(values / 100, 2))


def test_300_classes_come_back_whole(tmp_path):
    labels = np.arange(8 * 9 * 10, dtype=np.int16).reshape(8, 9, 10) % 300
    image = tmp_path / "x.nii.gz"
    write(image, labels, euler("xy", 45, 45))
    window = Preprocess(**{**CT, "window": (0, 299)})
    place = tmp_path / "run #1 @home 50%"  # signs that MONAI's configurations read as their own
    bundle = bundle_of(segmenter(window, Oracle(300, 299.0), 300), place / "bundle", image)
    run_bundle(bundle, [image], place / "out")
    made = nib.load(place / "out" / "x.nii.gz")
    np.testing.assert_array_equal(np.asanyarray(made.dataobj), labels)
    assert made.get_data_dtype() == np.uint16


def refusal(error: BaseException) -> str:
    """The first cause: MONAI wraps what a transform raises."""
    while error.__cause__ is not None:
        error = error.__cause__
    return f"{type(error).__name__}: {error}"


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A bundle, and the segmenter that it was made of."""
    folder = tmp_path_factory.mktemp("plain")
    write(folder / "x.nii.gz", blocks("x")[0])
    ours = segmenter(READINGS["ct"], Oracle(), 3)
    return bundle_of(ours, folder / "bundle", folder / "x.nii.gz"), ours


SHEARED = SIZES + np.array([[0, 0.3, 0, 0], *np.zeros((3, 4))])
REFUSED = {
    "sheared": nib.Nifti1Image(blocks("x")[0], SHEARED),
    "not finite": nib.Nifti1Image(np.full(SHAPE, np.nan, np.float32), SIZES),
    "complex": nib.Nifti1Image(np.ones(SHAPE, np.complex64), SIZES),
    "5 axes": nib.Nifti1Image(np.ones((*SHAPE, 2, 2), np.float32), SIZES),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_bundle_refuses_what_segnas_refuses(plain, tmp_path, name):
    bundle, ours = plain
    image = tmp_path / "x.nii.gz"
    nib.save(REFUSED[name], image)
    with pytest.raises(UserError) as refused:
        ours.segment(image)
    with pytest.raises(RuntimeError) as error:
        run_bundle(bundle, [image], tmp_path / "out")
    assert refusal(error.value) == f"UserError: {refused.value}"
    assert not (tmp_path / "out" / "x.nii.gz").exists()


def test_a_bundle_never_overwrites_its_images(plain, tmp_path):
    image = tmp_path / "x.nii.gz"
    write(image, blocks("x")[0])
    before = image.read_bytes()
    with pytest.raises(RuntimeError) as error:
        run_bundle(plain[0], [image], tmp_path)
    assert "is the image itself" in refusal(error.value)
    assert image.read_bytes() == before


@pytest.mark.parametrize("kind", and_slow(["bundle", "torchscript"], ["onnx", "torch-export"]))
def test_a_deployed_folder_reads_volumes_as_its_export_does(images, tmp_path, kind):
    ours = segmenter(READINGS["qform"], Shrink(), 4)
    spec = ours.spec.model_copy(
        update={"task": ours.task.model_copy(update={"voxel_size": (1.0, 1.3, 2.0)})}
    )
    ours = Segmenter(network=ours.network, spec=spec)
    image = images / "sform and qform differ.nii.gz"
    source = Source(segmenter=ours, strides=STRIDES, name="small", key="01234", weights="trial")
    deploy(source, [CheckCase("x", image, None)], kind, "fp32", tmp_path / "d", QUICK)
    opened, _ = open_segmenter(tmp_path / "d")
    assert opened.task == spec.task
    assert opened.spec.preprocess == spec.preprocess
    found, expected = opened.prepare(image), ours.prepare(image)
    np.testing.assert_array_equal(found.image, expected.image)
    np.testing.assert_array_equal(found.native.affine, expected.native.affine)
