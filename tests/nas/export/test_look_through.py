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


def beside(files):
    """A change that adds files."""
    return lambda name, content: [
        (name, content),
        *(files.items() if name == "archive_version" else []),
    ]


def told_otherwise(file, change):
    """A change of one JSON file of the archive."""

    def edit(name, content):
        if name == file:
            told = json.loads(content)
            change(told)
            content = json.dumps(told)
        return [(name, content)]

    return edit


def graph_of(folder, **told):
    """An archive with a graph that says so."""
    with zipfile.ZipFile(folder / "a.pt2", "w") as archive:
        archive.writestr("a/archive_version", "0")
        archive.writestr("a/version", "3")
        archive.writestr("a/models/model.json", json.dumps([told]))
    return folder / "a.pt2"


WEIGHTS, GRAPH = "data/weights/model_weights_config.json", "models/model.json"


def test_pickles_are_refused_and_not_run(exported, tmp_path):
    trace = tmp_path / "trace"
    evil = pickle.dumps(Runs(trace))
    pickled = json.dumps({"config": {"a": {"use_pickle": True, "path_name": "evil"}}})

    def sample(name, content):
        return [(name, evil if name.startswith("data/sample_inputs/") else content)]

    def use_pickle(told):
        for one in told["config"].values():
            one["use_pickle"] = True

    def elsewhere(told):
        for one in told["config"].values():
            one["path_name"] = "../constants/opaque_obj_0"

    for number, change in enumerate(
        (
            sample,
            beside({"data/constants/opaque_obj_0": evil}),
            beside({"data/constants/OPAQUE_OBJ_0": evil}),
            beside({"data/weights/model.pt": evil}),
            beside(
                {"data/weights/s/model_weights_config.json": pickled, "data/weights/evil": evil}
            ),
            told_otherwise(WEIGHTS, use_pickle),
            told_otherwise(WEIGHTS, elsewhere),
        )
    ):
        file = changed(exported, tmp_path / f"{number}.pt2", change)
        with pytest.raises(DeployError, match=r"holds a pickle|segnas does not write"):
            open_file(file, "torch-export", "cpu")
    assert not trace.exists()


def from_file(told):
    """Writes a file of the size that it is told, in the place of the first operator."""
    told["graph_module"]["graph"]["nodes"][0]["target"] = "torch.ops.aten.from_file.default"


def of_a_library(told):
    told["graph_module"]["graph"]["nodes"][0]["target"] = "torch.ops.image.write_file.default"


def python(told):
    told["guards_code"] = ["__import__('os').system('true')"]


def in_a_message(told):
    told["guards_code"] = ["""L['x'].size()[0] == 'a" + f(b) + "'"""]


def bounds(told):
    told["range_constraints"] = {"f(a)": {"min_val": 1, "max_val": 2}}


def size(told):
    told["more"] = {"expr_str": "__import__('os').system('true')"}


def of_a_module(told):
    tree = {"type": "builtins.dict", "context": '["__enum__"]', "children_spec": []}
    told["graph_module"]["module_call_graph"][0]["signature"]["in_spec"] = json.dumps([1, tree])


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (beside({"data/aotinductor/model/a.so": b""}), "segnas does not write"),
        (beside({"models/model.JSON": b"{}"}), "two files of one name"),
        (beside({"models/s/model.json": b"{}"}), "segnas does not write"),
        (lambda name, content: [(name, content)] * (2 if name == GRAPH else 1), "two files"),
        (told_otherwise(GRAPH, from_file), "from_file.default, which reaches files"),
        (told_otherwise(GRAPH, of_a_library), "not PyTorch's own"),
        (told_otherwise(GRAPH, python), "no arithmetic"),
        (told_otherwise(GRAPH, in_a_message), "no arithmetic"),
        (told_otherwise(GRAPH, bounds), "no arithmetic"),
        (told_otherwise(GRAPH, size), "no arithmetic"),
        (told_otherwise(GRAPH, of_a_module), "nests its inputs"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_more_than_a_graph_of_pytorch_s_own_operators_is_refused(exported, tmp_path, change, why):
    file = changed(exported, tmp_path / "a.pt2", change)
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
    check_exported(graph_of(tmp_path, expr_str=text))


@pytest.mark.parametrize(
    "text",
    ["(L['x'].size()[2] % 8) == 0", "math.trunc(L['x'].size()[2] / 2) >= max(1, L['x'].size()[3])"],
)
def test_so_are_conditions_on_sizes(text, tmp_path):
    check_exported(graph_of(tmp_path, guards_code=[text]))


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
    for told in ({"expr_str": text}, {"guards_code": [text]}):
        with pytest.raises(DeployError, match="no arithmetic"):
            check_exported(graph_of(tmp_path, **told))


class Writes(torch.nn.Module):
    """Makes a file of the size that it is told, as any scripted network can."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.from_file("trace", shared=True, size=1)


def code_of(path, to, change, folder="code"):
    """A scripted file of other code, in a folder of that name; without what points at it."""

    def edit(name, content):
        if not name.startswith("code/"):
            return [(name, content)]
        told = change(content.decode()) if name.endswith(".py") else None
        return [] if told is None else [(name.replace("code", folder, 1), told)]

    return changed(path, to, edit)


def test_however_it_is_written(tmp_path):
    torch.jit.save(torch.jit.script(Writes()), tmp_path / "a.ts")

    def spaced(code):
        return code.replace("torch.from_file", "torch . from_file")

    def saved(code):
        return code.replace("torch.from_file(", "torch # to a file\n .save(")

    def foreign(code):
        return code.replace("torch.from_file", "ops.image.decode")

    for number, (change, folder) in enumerate(
        [(str, "CODE"), (spaced, "code"), (saved, "code"), (foreign, "Code")]
    ):
        file = code_of(tmp_path / "a.ts", tmp_path / f"{number}.ts", change, folder)
        with pytest.raises(DeployError, match=r"reaches files|not PyTorch's own"):
            check_scripted(file)


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
