"""A MONAI Bundle segments files as segnas does, where there is no segnas."""

import json
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch

from nas.cost.latency import LatencyConfig
from nas.export.deploy.bundle import CONFIG, METADATA
from nas.export.deploy.bundle_text import SCHEMA
from nas.export.deploy.deploy import Source, deploy
from nas.export.deploy.open_segmenter import open_segmenter
from nas.export.deploy.parity_check import folder_cases
from tests.nas.export.test_deploy import TASK, Shrink
from tests.processes import printed_by
from tests.slow import and_slow
from trainers import volumes
from trainers.data.config import Preprocess
from trainers.segmenter import Segmenter, SegmenterSpec
from trainers.volumes.errors import DoubtWarning
from trainers.volumes.settings import Intensity
from trainers.volumes.transforms import PrepareImaged

pytest.importorskip("fire")
QUICK = LatencyConfig(warmup=0, repeats=3, seconds=0.1)
CT = Preprocess(spacing=(1.0, 1.5, 2.0), crop="foreground", intensity="ct", window=(-100, 100))
MR = Preprocess(orientation="LPS", spacing=(2.0, 1.0, 1.5), crop="foreground", intensity="zscore")
NATIVE = Preprocess(spacing="native", crop="none", intensity="zscore")
ROBUST = Preprocess(spacing=(1.5, 1.5, 1.5))

WITHOUT = """
import sys
class Nowhere:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("nas", "search_spaces", "trainers", "segnas"):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Nowhere())
try:
    import nas
except ModuleNotFoundError:
    pass
else:
    sys.exit("segnas is there")
import runpy
runpy.run_module("monai.bundle", run_name="__main__", alter_sys=True)
"""

# The bundle specification's required keys, and those of a tensor's description.
REQUIRED = [
    "schema", "version", "monai_version", "pytorch_version", "numpy_version",
    "required_packages_version", "task", "description", "authors", "copyright",
    "network_data_format",
]  # fmt: skip
SCRIPTS = sorted(Path(volumes.__path__[0]).glob("*.py"))
TENSOR = ["type", "format", "num_channels", "spatial_shape", "dtype", "value_range"]

STRIDES = (2, 2, 2)


def write_images(folder: Path, preprocess: Preprocess) -> None:
    """Two blobs with an empty border, in grids that lie askew, mirrored and anisotropic."""
    rng = np.random.default_rng(0)
    turn = np.array([[0, 1.2, 0.1, 5], [-0.9, 0, 0, -7], [0, -0.05, 2.4, 3], [0, 0, 0, 1]])
    empty = -1000.0 if preprocess.window else 0.0
    for name, affine in (("turned", turn), ("plain", np.diag([1.1, 1.1, 3.0, 1.0]))):
        voxels = np.full((22, 26, 14), empty, np.float32)
        voxels[3:19, 4:25, 2:13] = rng.normal(20, 60, (16, 21, 11))
        nib.save(nib.Nifti1Image(voxels, affine), folder / f"{name}.nii.gz")
    constant = np.full((18, 18, 18), empty, np.float32)
    nib.save(nib.Nifti1Image(constant, np.eye(4)), folder / "constant.nii.gz")


def made(folder: Path, preprocess: Preprocess):
    """A bundle, and the segmenter it was made of."""
    torch.manual_seed(1)
    spacing = None if preprocess.spacing == "native" else preprocess.spacing
    segmenter = Segmenter(
        network=Shrink().eval(),
        spec=SegmenterSpec(
            task=TASK.model_copy(update={"spacing": spacing}),
            preprocess=preprocess,
            overlap=0.5,
        ),
    )
    (folder / "images").mkdir()
    write_images(folder / "images", preprocess)
    source = Source(
        segmenter=segmenter, strides=STRIDES, name="small", key="01234", weights="trial"
    )
    cases = folder_cases(folder / "images", None, 3, TASK)
    return deploy(source, cases, "bundle", "fp32", folder / "bundle", QUICK), segmenter


@pytest.fixture(scope="module")
def bundle_of(tmp_path_factory):
    """Makes a bundle once, which nobody changes: its folder, its record, and the segmenter."""

    @cache
    def bundle(preprocess):
        folder = tmp_path_factory.mktemp("bundle")
        return folder, *made(folder, preprocess)

    return bundle


@pytest.mark.parametrize(
    "preprocess", and_slow([NATIVE, CT], [MR, ROBUST]), ids=["native", "ct", "mr", "robust"]
)
def test_from_file_to_file_a_bundle_makes_the_same_labels(bundle_of, preprocess):
    folder, record, segmenter = bundle_of(preprocess)
    assert record.checks.pipeline == 1.0
    opened, told = open_segmenter(folder / "bundle")
    assert "bundle fp32" in told
    image = folder / "images" / "turned.nii.gz"
    np.testing.assert_array_equal(opened.segment(image), segmenter.segment(image))
    assert torch.is_grad_enabled()  # of this process, whatever the bundle set in its own


def test_its_files_lie_where_the_specification_wants_them(bundle_of):
    folder, _, segmenter = bundle_of(NATIVE)
    bundle = folder / "bundle"
    files = {str(path.relative_to(bundle)) for path in bundle.rglob("*") if path.is_file()}
    assert files == {
        "configs/inference.json",
        "configs/metadata.json",
        "deployment.json",
        "docs/README.md",
        "docs/license.txt",
        "models/model.pt",
        "models/model.ts",
        *(f"scripts/{path.name}" for path in SCRIPTS),
    }
    for path in SCRIPTS:
        if path.name != "__init__.py":
            assert (bundle / "scripts" / path.name).read_bytes() == path.read_bytes()
    assert "Apache License" in (bundle / "scripts" / "__init__.py").read_text()
    weights = torch.load(bundle / "models" / "model.pt", weights_only=True)
    for name, value in segmenter.network.state_dict().items():
        assert torch.equal(weights[name], value)


def test_metadata_has_what_the_specification_requires(bundle_of):
    folder, *_ = bundle_of(NATIVE)
    metadata = json.loads((folder / "bundle" / "configs" / "metadata.json").read_text())
    assert set(REQUIRED) <= metadata.keys()
    assert metadata["schema"] == SCHEMA
    assert metadata["required_packages_version"].keys() == {"nibabel", "psutil"}
    formats = metadata["network_data_format"]
    for tensor in (formats["inputs"]["image"], formats["outputs"]["pred"]):
        assert set(TENSOR) <= tensor.keys()
    assert formats["outputs"]["pred"]["num_channels"] == 4
    assert formats["outputs"]["pred"]["channel_def"]["3"] == "c"


def bundle_command(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", WITHOUT, *words],
        cwd=folder,
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


@pytest.mark.slow
def test_a_bundle_runs_and_verifies_without_segnas(tmp_path):
    _, segmenter = made(tmp_path, CT)
    config = ["--config_file", "configs/inference.json", "--meta_file", "configs/metadata.json"]
    folders = ["--dataset_dir", str(tmp_path / "images"), "--output_dir", str(tmp_path / "out")]
    done = bundle_command(tmp_path / "bundle", "run", *config, *folders)
    assert done.returncode == 0, done.stderr
    for image in (tmp_path / "images").iterdir():
        found, like = nib.load(tmp_path / "out" / image.name), nib.load(image)
        np.testing.assert_array_equal(np.asarray(found.dataobj), segmenter.segment(image))
        np.testing.assert_array_equal(found.affine, like.affine)
    done = bundle_command(tmp_path / "bundle", "verify_net_in_out", "network", *config)
    assert done.returncode == 0 and "verified with no error" in done.stdout + done.stderr


def trained_on_ct(to: Path, kind: str) -> Path:
    """A deployed folder of a network that knows values from -1,000 HU on, beside the folders
    `right` and `shifted` of an image."""
    task = TASK.model_copy(update={"lowest": (-1000.0,)})
    preprocess = CT.model_copy(update={"spacing": "native"})
    segmenter = Segmenter(
        network=Shrink().eval(), spec=SegmenterSpec(task=task, preprocess=preprocess, overlap=0.5)
    )
    values = np.random.default_rng(0).normal(20, 60, (18, 18, 18)).astype(np.float32)
    values[:4] = -1000.0
    for name, shift in (("right", 0), ("shifted", 1024)):
        (to / name).mkdir()
        nib.save(nib.Nifti1Image(values + shift, np.eye(4)), to / name / "a.nii.gz")
    source = Source(segmenter=segmenter, strides=STRIDES, name="ct", key="01234", weights="trial")
    cases = folder_cases(to / "right", None, 1, TASK)
    deploy(source, cases, kind, "fp32", to / "deployed", QUICK)
    return to / "deployed"


def told_of_units(folder: Path, images: str) -> list[str]:
    """What a deployed folder that runs by itself says of those images."""
    if (folder / "segment.py").exists():
        words = ["segment.py", f"../{images}", "../out"]
    else:
        folders = ["--dataset_dir", f"../{images}", "--output_dir", "../out"]
        words = ["-m", "monai.bundle", "run", "--config_file", CONFIG, *folders]
    done = subprocess.run([sys.executable, *words], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [line for line in done.stderr.splitlines() if "Hounsfield" in line]


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "begins"), [("bundle", "/"), ("onnx", "warning: ../shifted/a")])
def test_ct_in_another_unit_is_said_by_the_folder_itself(tmp_path, kind, begins):
    if kind == "onnx":
        pytest.importorskip("onnx")
    folder = trained_on_ct(tmp_path, kind)
    [told] = told_of_units(folder, "shifted")
    assert told.startswith(begins) and "shifted/a.nii.gz has 24 as its lowest value" in told
    assert not told_of_units(folder, "right")


def test_what_prepares_images_in_a_folder_knows_the_unit(tmp_path):
    config = json.loads((trained_on_ct(tmp_path, "bundle") / CONFIG).read_text())["preprocessing"]
    assert config["lowest"] == [-1000.0]
    ct = Intensity("ct", (-100, 100))
    kept = {name: config[name] for name in ("orientation", "affine", "resampling", "crop")}
    prepare = PrepareImaged(**kept, intensities=[ct], spacing=None, channels=1, lowest=(-1000.0,))
    with pytest.warns(DoubtWarning, match="shifted/a.nii.gz has 24 as its lowest value"):
        prepare({"image": str(tmp_path / "shifted" / "a.nii.gz")})


@pytest.mark.slow
def test_a_bundle_runs_from_a_folder_with_scripts_of_its_own(tmp_path):
    _, segmenter = made(tmp_path, MR)
    elsewhere = tmp_path / "elsewhere" / "scripts"
    elsewhere.mkdir(parents=True)
    (elsewhere / "__init__.py").write_text("")
    bundle = tmp_path / "bundle"
    done = bundle_command(
        elsewhere.parent,
        *("run", "--config_file", str(bundle / CONFIG), "--meta_file", str(bundle / METADATA)),
        *("--bundle_root", str(bundle), "--dataset_dir", str(tmp_path / "images")),
        *("--output_dir", "out"),
    )
    assert done.returncode == 0, done.stderr
    for image in (tmp_path / "images").iterdir():
        found = nib.load(elsewhere.parent / "out" / image.name)
        np.testing.assert_array_equal(np.asarray(found.dataobj), segmenter.segment(image))


TWO_BUNDLES = """
import sys, os
from monai.bundle import run
for bundle in ("one", "two", "one"):
    os.chdir(f"{sys.argv[1]}/{bundle}")
    run(config_file="configs/inference.json", dataset_dir="../images", output_dir="out")
    os.rename("out", f"out-{len(os.listdir('.'))}")
"""


@pytest.mark.slow
def test_two_bundles_of_one_process_keep_to_their_own_scripts(tmp_path):
    made(tmp_path, NATIVE)
    (tmp_path / "bundle").rename(tmp_path / "one")
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    with (tmp_path / "two" / "scripts" / "transforms.py").open("a") as script:
        script.write("\nown, segment = segment, lambda *a, **k: own(*a, **k) + 100\n")
    printed_by(TWO_BUNDLES, tmp_path)
    outputs = {
        name: [
            np.asarray(nib.load(out / "plain.nii.gz").dataobj).min()
            for out in sorted((tmp_path / name).glob("out-*"))
        ]
        for name in ("one", "two")
    }
    assert outputs == {"one": [0, 0], "two": [100]}


@pytest.mark.slow
def test_a_bundle_passes_verify_metadata(tmp_path):
    """With MONAI's schema where it can be had: the URL, or a copy of it."""
    made(tmp_path, NATIVE)
    schema = Path(os.environ.get("SEGNAS_MONAI_SCHEMA", tmp_path / "schema.json"))
    words = ["--meta_file", "configs/metadata.json", "--filepath", str(schema)]
    done = bundle_command(tmp_path / "bundle", "verify_metadata", *words)
    if not schema.exists():
        pytest.skip(f"no {SCHEMA} here; set SEGNAS_MONAI_SCHEMA to a copy")
    assert done.returncode == 0, done.stderr
    assert "metadata is verified with no error" in done.stdout + done.stderr
