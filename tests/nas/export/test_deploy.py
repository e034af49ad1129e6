"""A small network in every format, beside PyTorch's own."""

import json
import shutil
from dataclasses import replace
from itertools import product

import nibabel as nib
import numpy as np
import pytest
import torch
from torch import nn

from nas.cli import deploy as deploying_command
from nas.cli.main import main
from nas.cost.latency import LatencyConfig
from nas.export.deploy import formats, latency, parity_check
from nas.export.deploy.bundle_text import metadata
from nas.export.deploy.deploy import Source, deploy
from nas.export.deploy.errors import DeployError, reason
from nas.export.deploy.formats import write_network
from nas.export.deploy.open_segmenter import open_segmenter
from nas.export.deploy.parity_check import CheckCase, agreement, check, folder_cases
from nas.export.deploy.record import Deployment
from nas.export.deploy.runtime import Deployed
from nas.export.export_folder import Export
from search_spaces.apformer import APFormer
from tests.disk import fill, small_disk
from tests.nas.exports import write_export
from tests.nas.probers import CONDITIONS
from trainers.data.config import Preprocess
from trainers.data.task import Task
from trainers.errors import UserError
from trainers.inference import Ensemble, Mirrored
from trainers.metrics import dice_per_class, mean_dice
from trainers.segmenter import Segmenter, SegmenterSpec
from trainers.volumes import readable
from trainers.volumes.preprocess import prepare_label

TASK = Task(channels=1, classes=("background", "a", "b", "c"), spacing=None, patch=(16, 16, 16))
QUICK = LatencyConfig(warmup=0, repeats=3, seconds=0.1)
PREPROCESS = Preprocess(spacing="native", crop="none", intensity="ct", window=(-175, 250))

STRIDES = (2, 2, 2)
OTHERS = (*product(("onnx", "torch-export"), (False, True)), ("torchscript", True))


class Shrink(nn.Module):
    """Half the size and back."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Conv3d(1, 8, 3, stride=2, padding=1)
        self.head = nn.Conv3d(8, 4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.interpolate(self.head(self.down(x).relu()), scale_factor=2.0)


def source(network=None, patch=(16, 16, 16)):
    torch.manual_seed(0)
    segmenter = Segmenter(
        network=(network or Shrink()).eval(),
        spec=SegmenterSpec(
            task=TASK.model_copy(update={"patch": patch}),
            preprocess=PREPROCESS,
            overlap=0.25,
        ),
    )
    return Source(
        segmenter=segmenter, strides=STRIDES, name="small", key="0123456789", weights="trial"
    )


@pytest.mark.parametrize("kind", ["torchscript", "torch-export", "onnx"])
def test_a_full_disk_is_an_error_and_leaves_nothing(tmp_path, cases, kind):
    if kind == "onnx":
        pytest.importorskip("onnx")
    with small_disk(tmp_path, 300_000):
        fill(tmp_path / "filler")
        with pytest.raises(OSError, match="No space left"):
            deploy(source(), cases, kind, "fp32", tmp_path / "out", QUICK)
        assert [path.name for path in tmp_path.iterdir()] == ["filler"]


@pytest.fixture(scope="module")
def cases(phantom_folder):
    return folder_cases(phantom_folder / "imagesTr", phantom_folder / "labelsTr", 2, TASK)


@pytest.mark.parametrize(
    ("kind", "precision"),
    [
        ("torchscript", "fp32"),
        ("torchscript", "fp16"),
        ("torch-export", "fp32"),
        ("onnx", "fp32"),
        pytest.param("onnx", "fp16", marks=pytest.mark.slow),
    ],
)
def test_a_deployed_folder_segments_as_pytorch_does(cases, tmp_path, kind, precision):
    ours = source()
    record = deploy(ours, cases, kind, precision, tmp_path / "d", QUICK)
    segmenter, told = open_segmenter(tmp_path / "d")
    assert told.startswith(f"{kind} {precision}, trial weights")
    assert record == Deployment.read(tmp_path / "d")
    assert (record.dynamic.batch, record.dynamic.sizes, record.dynamic.stride) == (True, True, 2)
    assert record.checks.cases == tuple(case.name for case in cases)
    assert record.latency["deployed"]["conditions"]["precision"] == precision
    assert record.latency["pytorch"]["conditions"]["precision"] == "fp32"
    for case in cases:
        found = segmenter.segment(case.image)
        assert agreement(found, ours.segmenter.segment(case.image), 4) > 0.999


def test_an_onnx_file_that_a_gpu_runs_is_timed_beside_pytorch_there(monkeypatch):
    """Without a GPU: on which device each is to be, and where the file gets its input."""
    onnxruntime = pytest.importorskip("onnxruntime")
    providers = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: providers)
    asked = []

    def note(*args):
        asked.append(args[-1].type)
        return CONDITIONS

    monkeypatch.setattr(latency, "prepare", note)
    monkeypatch.setattr(latency, "conditions_of", note)
    monkeypatch.setattr(latency, "measure_prepared", tuple)
    deployed = Deployed(lambda x: x, torch.device("cpu"), any_batch=True)
    times = latency.time_both(Shrink(), deployed, 1, QUICK, "onnx", "fp32")
    assert asked == ["cuda", "cuda"]
    assert times["deployed"].runner.device.type == "cpu"


@pytest.mark.parametrize(
    ("kind", "regions"),
    [
        ("torchscript", False),
        *(pytest.param(kind, other, marks=pytest.mark.slow) for kind, other in OTHERS),
    ],
)
def test_a_mirrored_ensemble_is_deployed_whole(cases, tmp_path, kind, regions):
    torch.manual_seed(1)
    network = Mirrored(Ensemble([Shrink(), Shrink()], regions), (0, 2))
    deploy(source(network), cases, kind, "fp32", tmp_path / "d", QUICK)
    deployed, _ = open_segmenter(tmp_path / "d")
    x = torch.rand(2, 1, 16, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(deployed.network(x), network(x), rtol=1e-3, atol=1e-4)


def test_a_file_that_its_runtime_cannot_open_is_tried_narrower(cases, tmp_path, monkeypatch):
    opened = formats.open_file
    refused = []

    def open_second(path, kind, made_on):
        if not refused:
            refused.append(path)
            raise DeployError("cannot be opened: no such operator")
        return opened(path, kind, made_on)

    monkeypatch.setattr(formats, "open_file", open_second)
    record = deploy(source(), cases, "torchscript", "fp32", tmp_path / "d", QUICK)
    assert (record.dynamic.batch, record.dynamic.sizes) == (True, False)


class Close(nn.Module):
    """Classes a and b differ by less than half precision tells apart."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Conv3d(1, 4, 1, bias=False)
        with torch.no_grad():
            self.head.weight[:, 0, 0, 0, 0] = torch.tensor([-1, 1, 1 + 1e-5, 0])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(x)


def test_labels_may_differ_as_long_as_dice_does_not(cases, tmp_path):
    like = nib.load(cases[0].label)
    only_c = np.zeros(like.shape, np.uint8)
    only_c[4:8, 4:8, 4:8] = 3
    nib.save(nib.Nifti1Image(only_c, like.affine), tmp_path / "label.nii.gz")
    case = CheckCase(cases[0].name, cases[0].image, tmp_path / "label.nii.gz")
    checks = deploy(source(Close()), [case], "onnx", "fp16", tmp_path / "d", QUICK).checks
    assert checks.dice == checks.dice_pytorch and checks.agreement < 0.5
    assert checks.pipeline == 1.0  # the folder does what the same file does within segnas


def test_a_network_of_slices_takes_any_number_of_them(phantom_folder, phantom, tmp_path):
    slices = APFormer(width=4, layers=1, heads=2, head_channels=16, mlp_ratio=1, reach=8)
    folder = write_export(tmp_path / "out", phantom_folder, phantom[1], slices)
    assert Source.of(Export(folder)).strides == (1, 8, 8)


def test_int8_weights_are_stored_in_int8(cases, tmp_path):
    onnx = pytest.importorskip("onnx")
    deploy(source(), cases, "onnx", "int8", tmp_path / "d", QUICK)
    graph = onnx.load(tmp_path / "d" / "network.onnx").graph
    stored = [t for t in graph.initializer if t.data_type == onnx.TensorProto.INT8]
    assert {int(np.prod(t.dims)) for t in stored} >= {8 * 27, 4 * 8}
    assert open_segmenter(tmp_path / "d")[0].segment(cases[0].image).shape == (24, 24, 24)


def test_int8_takes_its_ranges_from_training_cases(
    phantom_folder, phantom, tmp_path, monkeypatch, capsys
):
    """Where the export's data are at hand; else from those that it is checked on, and says so."""
    pytest.importorskip("onnx")
    cases = phantom[1]
    monkeypatch.setitem(parity_check.DICE_TOLERANCE, "int8", 1.0)  # of drawn weights
    out = write_export(tmp_path / "out", phantom_folder, cases)
    command = [
        "deploy",
        str(out),
        "--format",
        "onnx",
        "--precision",
        "int8",
        "--cases",
        "2",
        "--to",
    ]
    assert main([*command, str(tmp_path / "d")]) == 0
    record = Deployment.read(tmp_path / "d")
    assert record.calibration == cases.train[:2]
    assert record.checks.cases == cases.validation[:2]
    assert "from the cases that it is checked on" not in capsys.readouterr().err

    text = (out / "retrain.yaml").read_text()
    (out / "retrain.yaml").write_text(text.replace(str(phantom_folder), str(tmp_path / "gone")))
    images = str(phantom_folder / "imagesTr")
    assert main([*command, str(tmp_path / "e"), "--check-images", images]) == 0
    record = Deployment.read(tmp_path / "e")
    assert record.calibration == record.checks.cases
    assert "from the cases that it is checked on" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["torchscript", "torch-export", "bundle"])
def test_int8_is_for_onnx_alone(cases, tmp_path, kind):
    with pytest.raises(DeployError, match="use --format onnx"):
        deploy(source(), cases, kind, "int8", tmp_path / "d", QUICK)
    assert not list(tmp_path.iterdir())


class NoHalf(Shrink):
    """With an operation that has no half-precision kernel on the CPU."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(nn.functional.avg_pool3d(x, 1))


def test_an_operator_without_a_half_kernel_is_named(cases, tmp_path):
    if torch.cuda.is_available():
        pytest.skip("a GPU has the kernel")
    with pytest.raises(DeployError, match=r"avg_pool3d.*not implemented for 'Half'.*--format onnx"):
        deploy(source(NoHalf()), cases, "torchscript", "fp16", tmp_path / "d", QUICK)
    assert not list(tmp_path.iterdir())


class NoOnnx(Shrink):
    """With an operation that ONNX has not."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) + torch.linalg.svdvals(x[:, 0, 0]).sum()


@pytest.mark.slow
def test_an_operator_that_onnx_lacks_is_named(cases, tmp_path):
    with pytest.raises(DeployError, match="svd"):
        deploy(source(NoOnnx()), cases, "onnx", "fp32", tmp_path / "d", QUICK)
    assert not list(tmp_path.iterdir())


class ByBatch(Shrink):
    """What its Python does depends on the batch: a trace keeps one branch of it."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) * float(len(x))


def test_a_network_that_goes_by_its_batch_is_deployed_for_one_window(tmp_path):
    path = tmp_path / "network.ts"
    dynamic, shapes = write_network(
        ByBatch().eval(), "torchscript", (1, 16, 16, 16), (2, 2, 2), path
    )
    assert not dynamic.batch and not dynamic.sizes
    assert shapes == ((1, 1, 16, 16, 16),)


class Wrong(nn.Module):
    """Other logits than those that it was checked with."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([-x, x, x, x], 1)


class WithNan(Shrink):
    """The network that is deployed, but for one logit of the last class."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits = super().forward(x).clone()
        logits[:, -1, 0, 0, 0] = torch.nan
        return logits


def test_of_whole_volumes_a_slab_of_logits_is_in_memory(cases, monkeypatch):
    given = source(patch=(8, 8, 8))
    logits = 4 * 4 * np.prod(nib.load(cases[0].image).shape)  # of four classes, in float32
    monkeypatch.setattr(readable, "free_memory", lambda: 0.9 * logits)
    checks = check(given.segmenter, given.segmenter.network, cases[:1], "fp32", ())
    assert (checks.max_difference, checks.agreement) == (0.0, 1.0)


def test_slabs_along_any_axis_tell_what_the_whole_volume_does(cases):
    given, other = (source(patch=(16, 16, 8)).segmenter for _ in range(2))
    with torch.no_grad():
        other.network.head.weight *= 1.0003
    prepared = given.prepare(cases[0].image)
    assert given.inferer.across(prepared.grid.shape) == 2
    ours, theirs = (one.logits(prepared) for one in (given, other))
    checks = check(given, other.network, cases[:1], "fp32", ())
    assert checks.max_difference == pytest.approx(float((theirs - ours).abs().max()), rel=1e-2)
    assert checks.largest == pytest.approx(float(ours.abs().max()))
    truth = prepare_label(cases[0].label, prepared, 4)
    found = (dice_per_class(one.max(0).indices.numpy(), truth, 4) for one in (theirs, ours))
    assert (checks.dice, checks.dice_pytorch) == tuple(mean_dice(each[None]) for each in found)


def test_a_logit_of_any_class_that_is_no_number_is_refused(cases):
    given = source()
    broken = WithNan()
    broken.load_state_dict(given.segmenter.network.state_dict())
    with pytest.raises(DeployError):
        check(given.segmenter, broken.eval(), cases, "fp32", ())


def test_another_segmentation_is_refused_without_labels_too(cases, tmp_path, monkeypatch):
    from nas.export.deploy import deploy as deploying
    from nas.export.deploy.record import Dynamic

    def broken(network, kind, patch, stride, path, half=False):
        torch.jit.trace(Wrong(), torch.zeros(2, *patch)).save(path)
        return Dynamic(batch=True, sizes=True, stride=2), ()

    monkeypatch.setattr(deploying, "write_network", broken)
    unlabelled = [CheckCase(case.name, case.image, None) for case in cases]
    for some in (cases, unlabelled):
        with pytest.raises(DeployError, match=r"Dice .* at most\. Nothing was written"):
            deploy(source(), some, "torchscript", "fp32", tmp_path / "d", QUICK)
    assert not list(tmp_path.iterdir())


def test_a_dice_of_training_cases_is_said_to_be_one(cases, tmp_path):
    known = replace(source(), learnt=frozenset({cases[0].name, "another"}))
    record = deploy(known, cases, "torchscript", "fp32", tmp_path / "d", QUICK)
    assert (record.checks.learnt, Deployment.read(tmp_path / "d").checks.learnt) == (1, 1)
    assert (
        "1 of 2 are training cases of the network: Dice is too good"
        in deploying_command.agreement(record)
    )
    assert metadata(record.model_copy(update={"format": "bundle"}))["eval_metrics"] == {}
    new = deploy(source(), cases, "torchscript", "fp32", tmp_path / "e", QUICK)
    assert new.checks.learnt == 0 and "training cases" not in deploying_command.agreement(new)
    assert metadata(new)["eval_metrics"] == {"mean_dice": new.checks.dice}


def test_a_folder_that_holds_something_is_left_alone(cases, tmp_path):
    (tmp_path / "mine").touch()
    with pytest.raises(UserError, match="is not empty"):
        deploy(source(), cases, "torchscript", "fp32", tmp_path, QUICK)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_an_empty_folder_that_is_there_is_filled_in_its_place(cases, tmp_path, monkeypatch):
    """It may be where a volume is mounted, as in a container."""

    def refuse(*_):
        raise DeployError("cannot be opened")

    to = tmp_path / "mounted"
    to.mkdir()
    place = to.stat().st_ino
    with monkeypatch.context() as patched, pytest.raises(DeployError, match="Nothing was written"):
        patched.setattr(formats, "open_file", refuse)
        deploy(source(), cases, "torchscript", "fp32", to, QUICK)
    assert not list(to.iterdir()) and to.stat().st_ino == place
    deploy(source(), cases, "torchscript", "fp32", to, QUICK)
    assert Deployment.read(to).format == "torchscript" and to.stat().st_ino == place


def test_a_damaged_file_is_one_clear_error(cases, tmp_path):
    deploy(source(), cases, "torchscript", "fp32", tmp_path / "d", QUICK)
    (tmp_path / "d" / "network.ts").write_bytes(b"no archive")
    with pytest.raises(UserError, match=r"network\.ts cannot be opened.*deploy the network again"):
        open_segmenter(tmp_path / "d")
    record = json.loads((tmp_path / "d" / "deployment.json").read_text())
    (tmp_path / "network.ts").write_bytes(b"another")
    (tmp_path / "d" / "deployment.json").write_text(
        json.dumps({**record, "network": "../network.ts"})
    )
    with pytest.raises(UserError, match="missing or damaged"):
        open_segmenter(tmp_path / "d")
    shutil.rmtree(tmp_path / "d")
    (tmp_path / "d").mkdir()
    with pytest.raises(UserError, match="neither"):
        open_segmenter(tmp_path / "d")


def test_a_label_that_is_missing_is_named(phantom_folder, tmp_path):
    (tmp_path / "labels").mkdir()
    with pytest.raises(UserError, match=r"has no label for \w+"):
        folder_cases(phantom_folder / "imagesTr", tmp_path / "labels", 1, TASK)


def test_labels_of_other_classes_are_refused(phantom_folder):
    two = TASK.model_copy(update={"classes": ("background", "a")})
    with pytest.raises(UserError, match="values 2, 3, but the network expects 0 to 1"):
        folder_cases(phantom_folder / "imagesTr", phantom_folder / "labelsTr", 1, two)


def test_the_cause_is_told_and_not_torchscripts_frames():
    told = (
        "The following operation failed in the TorchScript interpreter.\n  frame\nRuntimeError: x"
    )
    assert reason(RuntimeError(told)) == "RuntimeError: x"
    assert reason(ValueError()) == "ValueError"
    told = "[ONNXRuntimeError] : 1 : FAIL : Load model from a/b failed:Node (n) Op (Reshape) x"
    assert reason(RuntimeError(told)) == "Node (n) Op (Reshape) x"


def test_the_record_is_plain_json(cases, tmp_path):
    deploy(source(), cases, "torchscript", "fp32", tmp_path / "d", QUICK)
    values = json.loads((tmp_path / "d" / "deployment.json").read_text())
    assert values["versions"]["torch"] == torch.__version__
    assert values["checks"]["max_difference"] <= 1e-3 * values["checks"]["largest"]
    image = nib.load(cases[0].image)
    assert open_segmenter(tmp_path / "d")[0].segment(cases[0].image).shape == image.shape
