"""What lies in a deployed file besides a network is not run."""

import json
import pickle
import zipfile

import pytest
import torch

from nas.export.deploy.bundle import check_names
from nas.export.deploy.deploy import deploy
from nas.export.deploy.errors import DeployError
from nas.export.deploy.formats import write_network
from nas.export.deploy.look_through import check_exported, check_scripted
from nas.export.deploy.onnx_runner import _within_quotes
from nas.export.deploy.runtime import open_file
from tests.nas.export.test_deploy import QUICK, STRIDES, TASK, Shrink, source
from trainers.volumes.targets import Region


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A network in the format of torch.export, as it is written."""
    path = tmp_path_factory.mktemp("pt2") / "network.pt2"
    write_network(Shrink().eval(), "torch-export", (1, 16, 16, 16), STRIDES, path)
    return path


class Runs:
    """Writes a file where it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def changed(archive, to, change):
    """The archive with other content: `change` gets name and content of each file, and returns
    what stands in their place."""
    with zipfile.ZipFile(archive) as whole, zipfile.ZipFile(to, "w") as other:
        for entry in whole.infolist():
            root, _, name = entry.filename.partition("/")
            for new, content in change(name, whole.read(entry)):
                other.writestr(f"{root}/{new}", content)
    return to


def test_what_segnas_writes_is_opened(exported, tmp_path):
    check_exported(exported)
    forward, device = open_file(exported, "torch-export", "cpu")
    assert forward(torch.zeros(1, 1, 16, 16, 16, device=device)).shape == (1, 4, 16, 16, 16)


def test_pickles_are_refused_and_not_run(exported, tmp_path):
    trace = tmp_path / "trace"
    evil = pickle.dumps(Runs(trace))

    def sample(name, content):
        return [(name, evil if name.startswith("data/sample_inputs/") else content)]

    def opaque(name, content):
        more = [("data/constants/opaque_obj_0", evil)] if name == "archive_version" else []
        return [(name, content), *more]

    def legacy(name, content):
        more = [("data/weights/model.pt", evil)] if name == "archive_version" else []
        return [(name, content), *more]

    def weights(name, content):
        if name.startswith("data/weights/") and name.endswith(".json"):
            told = json.loads(content)
            for one in told["config"].values():
                one["use_pickle"] = True
            content = json.dumps(told)
        return [(name, content)]

    for change in (sample, opaque, legacy, weights):
        file = changed(exported, tmp_path / f"{change.__name__}.pt2", change)
        with pytest.raises(DeployError, match="holds a pickle"):
            open_file(file, "torch-export", "cpu")
    assert not trace.exists()


def test_native_code_and_sizes_that_are_code_are_refused(exported, tmp_path):
    def native(name, content):
        more = [("data/aotinductor/model/a.so", b"")] if name == "archive_version" else []
        return [(name, content), *more]

    def size(name, content):
        if name.startswith("models/"):
            told = json.loads(content)
            told["more"] = {"expr_str": "__import__('os').system('true')"}
            content = json.dumps(told)
        return [(name, content)]

    def twice(name, content):
        return [(name, content)] * (2 if name == "archive_version" else 1)

    for change, why in ((native, "native code"), (size, "no arithmetic"), (twice, "two files")):
        file = changed(exported, tmp_path / f"{change.__name__}.pt2", change)
        with pytest.raises(DeployError, match=why):
            check_exported(file)


@pytest.mark.parametrize(
    "text",
    [
        *("s0", "2*s0 + 1", "Mod(s0, 8)", "s77 >= 2", "-1", "FloorDiv(a, 2)"),
        "Mul(Integer(2), Symbol('s86', positive=True, integer=True))",
    ],
)
def test_arithmetic_is_arithmetic(text, tmp_path):
    with zipfile.ZipFile(tmp_path / "a.pt2", "w") as archive:
        archive.writestr("a/archive_version", "0")
        archive.writestr("a/models/model.json", json.dumps([{"expr_str": text}]))
    check_exported(tmp_path / "a.pt2")


@pytest.mark.parametrize(
    "text",
    [
        "a.b",
        "f('x')",
        "Symbol('a.b()')",
        "a[0]",
        "lambda: 0",
        "_a",
        "x" * 10**5 + "(",
        3,
        "(f)(g)(1)",
    ],
)
def test_anything_else_is_none(text, tmp_path):
    with zipfile.ZipFile(tmp_path / "a.pt2", "w") as archive:
        archive.writestr("a/archive_version", "0")
        archive.writestr("a/models/model.json", json.dumps({"a": [{"expr_str": text}]}))
    with pytest.raises(DeployError, match="no arithmetic"):
        check_exported(tmp_path / "a.pt2")


class Writes(torch.nn.Module):
    """Makes a file of the size that it is told, as any scripted network can."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.from_file("trace", shared=True, size=1)


def test_a_scripted_network_that_writes_files_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.jit.save(torch.jit.script(Writes()), tmp_path / "network.ts")
    with pytest.raises(DeployError, match="from_file, which reaches files"):
        open_file(tmp_path / "network.ts", "torchscript", "cpu")
    with pytest.raises(DeployError, match="cannot be opened"):
        (tmp_path / "b.ts").write_bytes(b"no archive")
        check_scripted(tmp_path / "b.ts")
    assert not (tmp_path / "trace").exists()


EVIL = "$__import__('pathlib').Path('trace').touch()"


@pytest.mark.parametrize("name", [EVIL, "%a.json", "a@b", "a::b", "_target_", "+a", "a#b"])
def test_names_that_monai_would_run_are_refused(name):
    for changes in (
        {"classes": ("background", name, "b", "c")},
        {"regions": (Region(name, (1, 2), 1),)},
        {"modalities": (name,)},
    ):
        with pytest.raises(DeployError, match="rename it in the data"):
            check_names("small", TASK.model_copy(update=changes))


def test_usual_names_are_not():
    names = ("background", "left kidney (10%)", "tumour_2", "GM/WM", "ä-ö & co.")
    check_names("small", TASK.model_copy(update={"classes": names}))


def test_a_bundle_of_such_a_class_is_not_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    one = source()
    task = TASK.model_copy(update={"classes": ("background", EVIL, "b", "c")})
    spec = one.segmenter.spec.model_copy(update={"task": task})
    evil = type(one)(
        segmenter=type(one.segmenter)(network=one.segmenter.network, spec=spec),
        strides=STRIDES,
        name="small",
        key="0123456789",
        weights="trial",
    )
    for kind in ("bundle", "onnx"):
        with pytest.raises(DeployError, match="rename it"):
            deploy(evil, [object()], kind, "fp32", tmp_path / "d", QUICK)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ['a"""\nimport os #', "a\\", 'a"', '\\"""', "\\N{DASH}"])
def test_no_class_ends_the_words_of_the_program_that_segments(name):
    text = f'"""Segments {_within_quotes(name)}."""'
    assert eval(text) == f"Segments {name}."
