"""From a trained network to a smaller one that is an export like any other."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from nas.cli.compress import _student
from nas.cost.latency import LatencyError
from nas.export.compress import compress as whole
from nas.export.compress import int8
from nas.export.compress.compress import _settings, compress
from nas.export.compress.low_rank import factorise
from nas.export.compress.plan import Compression
from nas.export.compress.prune import importance, most_important, prune
from nas.export.compress.unfinished import Unfinished
from nas.export.export_folder import Export
from nas.export.retrain import Plan, retrain
from nas.study.folder_lock import alone_at
from search_spaces.axes import axes_for
from search_spaces.blocks.gated_layer import transformer_layer
from search_spaces.blocks.low_rank import Factors
from search_spaces.blocks.prunable import prunable
from search_spaces.compressed import Compressed
from search_spaces.hybrid import Hybrid, Layer, TokenStage
from tests.nas.exports import weights_in, write_export
from trainers.errors import UserError

POINT = Hybrid(
    width=8, growth=2.0, convs=2, levels=3, stem_stride=1, norm="group", token_stages=1,
    tokens=(TokenStage(layers_count=1, layers=(Layer(),)),),
)  # fmt: skip
X = torch.randn(1, 1, 16, 16, 16, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def export(tmp_path_factory, phantom_folder, phantom):
    """A network with heads, neurons and channels, as a search leaves it."""
    folder = tmp_path_factory.mktemp("original") / "out"
    return Export(write_export(folder, phantom_folder, phantom[1], point=POINT))


def silent(report, epochs, which):
    pass


def go(export, to, **plan):
    return compress(export, Compression(patches=2, **plan), to, silent)


@pytest.fixture(scope="module")
def pruned(export, tmp_path_factory):
    """Half of everything pruned, and two steps of training, at a rate of their own."""
    to, settings = tmp_path_factory.mktemp("pruned") / "out", ("train.learning_rate=0.003",)
    parts = "heads", "neurons", "channels"
    set_so = Export(export.folder, settings)
    record = go(set_so, to, method="prune", of=parts, steps=2, settings=settings)
    return Export(to), record


@pytest.mark.parametrize("method", ["prune", "low-rank"])
def test_with_nothing_removed_the_logits_are_identical(export, tmp_path, method):
    record = go(export, tmp_path / "same", method=method, keep=1.0, steps=0)
    same = Export(tmp_path / "same")
    assert same.architecture == export.architecture
    with torch.inference_mode():
        assert torch.equal(same.network()(X), export.network()(X))
    rows = record["figures"]
    assert rows["original"]["dice"] == rows["before fine-tuning"]["dice"]
    assert rows["original"]["macs"] == rows["compressed"]["macs"]


def test_a_pruned_network_is_an_export_that_was_taught_by_the_original(export, pruned):
    made, record = pruned
    assert isinstance(made.architecture, Compressed)
    assert made.weights.name == "retrained.pt"
    rows = record["figures"]
    for name in ("params", "bytes", "macs"):
        assert rows["compressed"][name] < rows["original"][name]
    assert rows["compressed"]["params"] == sum(p.numel() for p in made.network().parameters())
    assert made.retrained["teacher"]["weights"] == export.fingerprint
    assert made.retrained["epochs"] * made.retrained["train"]["steps_per_epoch"] == 2
    assert made.retrained["train"]["learning_rate"] == 0.003
    assert made.config.train == export.config.train  # the whole schedule, for a retraining
    assert json.loads((made.folder / "compression.json").read_text()) == json.loads(
        json.dumps(record)
    )
    card = (made.folder / "README.md").read_text()
    assert "What was made smaller" in card and export.architecture.key in card
    assert "0.5 of its heads, neurons and channels left" in card
    assert "Fine-tuned for 1 epoch of 2 steps, taught by the original" in card
    assert "made smaller by segnas" in card


@pytest.mark.parametrize(
    ("steps", "usual", "epochs", "each"), [(300, 100, 3, 100), (300, 200, 2, 150), (5, 100, 1, 5)]
)
def test_a_fine_tuning_has_the_steps_that_are_asked_for(steps, usual, epochs, each, export):
    usual = export.config.train.model_copy(update={"steps_per_epoch": usual})
    assert _settings(usual, steps) == [f"train.epochs={epochs}", f"train.steps_per_epoch={each}"]


def test_it_is_costed_segmented_and_retrained(pruned, segnas):
    made, record = pruned
    shape = ["--input", "1x16x16x16", "--classes", "4"]
    found = segnas.json("cost", made.folder, *shape)
    assert found["macs"] == record["figures"]["compressed"]["macs"]
    assert made.segmenter().network(X.to(next(made.network().parameters()).device)).shape[1] == 4
    before = weights_in(made.folder / "retrained.pt")
    retrain(Export(made.folder, ["train.epochs=1"]), Plan(start="trial"), silent)
    after = weights_in(made.folder / "retrained.pt")
    assert before.keys() == after.keys()


def test_a_retraining_that_is_worse_than_it_was_is_said_to_be(pruned, tmp_path, segnas):
    folder = shutil.copytree(pruned[0].folder, tmp_path / "out")
    record = json.loads((folder / "compression.json").read_text())
    record["figures"]["compressed"]["dice"] = 0.99
    (folder / "compression.json").write_text(json.dumps(record))
    said = " ".join(segnas.printed("retrain", folder, "--set", "train.epochs=1").split())
    assert "Once compressed it had 0.9900 on these cases: the new weights" in said


@pytest.mark.slow
def test_it_can_be_compressed_again(pruned, tmp_path):
    made, record = pruned
    again = go(made, tmp_path / "again", method="prune", of=("neurons",), steps=0)
    sizes = dict(made.architecture.kept), dict(Export(tmp_path / "again").architecture.kept)
    name = next(name for name in sizes[0] if name.endswith("neurons"))
    assert sizes[1] == {**sizes[0], name: sizes[0][name] // 2}
    assert again["figures"]["original"]["macs"] == record["figures"]["compressed"]["macs"]


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("data.preprocess.window=[-100, 100]", "--set data.preprocess..."),
        ("data.split={validation: 0.5}", "--set data.split with --from trial"),
        (None, r"task.spacing = \(2.0, 2.0, 2.0\), and the data has None"),
    ],
)
def test_data_that_its_weights_do_not_know_are_refused(
    tmp_path, phantom_folder, phantom, setting, told
):
    folder = write_export(tmp_path / "net", phantom_folder, phantom[1])
    if setting is None:  # as if cases had been added since, and the median were another
        text = (folder / "retrain.yaml").read_text()
        (folder / "retrain.yaml").write_text(
            text.replace("spacing: null", "spacing: [2.0, 2.0, 2.0]", 1)
        )
    settings = () if setting is None else (setting,)
    with pytest.raises(UserError, match=told):
        go(
            Export(folder, settings), tmp_path / "small", method="prune", of=("channels",),
            settings=settings, steps=0,
        )  # fmt: skip
    assert not (tmp_path / "small").exists()


@pytest.mark.slow
def test_a_network_without_heads_and_neurons_loses_channels(tmp_path, phantom_folder, phantom):
    """And its card names no part that it does not have, whatever was chosen."""
    plain = Export(write_export(tmp_path / "net", phantom_folder, phantom[1]))
    usual = go(plain, tmp_path / "usual", method="prune", steps=0)
    chosen = ("heads", "neurons", "channels")
    record = go(plain, tmp_path / "chosen", method="prune", of=chosen, steps=0)
    assert usual["of"] == record["of"] == ["channels"]
    same = weights_in(tmp_path / "usual" / "trial.pt"), weights_in(tmp_path / "chosen" / "trial.pt")
    assert all(torch.equal(same[0][name], same[1][name]) for name in same[0])
    card = (tmp_path / "chosen" / "README.md").read_text()
    assert "0.5 of its channels left" in card


@pytest.mark.slow
def test_maps_of_lower_rank(export, tmp_path):
    record = go(export, tmp_path / "thin", method="low-rank", keep=0.5, steps=0)
    made = Export(tmp_path / "thin")
    assert made.architecture.ranks and not made.architecture.kept
    assert record["figures"]["compressed"]["macs"] < record["figures"]["original"]["macs"]


@pytest.mark.slow
def test_a_student_learns_the_features_too(export, tmp_path):
    student = Hybrid(width=4, growth=1.0, levels=3, stem_stride=1, skip="add", norm="group")
    go(export, tmp_path / "student", method="distil", student=student, steps=2)
    made = Export(tmp_path / "student")
    assert made.architecture == student and made.config.train.distillation.features == 1.0
    alone = Export(made.folder, ["train.distillation.features=0", "train.epochs=1"])
    taught = weights_in(made.folder / "retrained.pt")
    retrain(alone, Plan(teacher=export.folder), silent)
    without = weights_in(made.folder / "retrained.pt")
    assert not all(torch.equal(taught[name], without[name]) for name in taught)


@pytest.mark.slow
def test_training_for_int8_leaves_a_plain_network(export, tmp_path):
    record = go(export, tmp_path / "int8", method="quantise-aware", steps=2)
    made, rows = Export(tmp_path / "int8"), record["figures"]
    assert made.architecture == export.architecture and made.retrained["quantise_aware"]
    assert rows["compressed int8"]["bytes"] < rows["original"]["bytes"]
    conditions = [rows[name]["latency"]["conditions"] for name in rows]
    assert [each["precision"] for each in conditions] == ["fp32", "int8", "int8"]
    plain = Export(made.folder, ["train.epochs=1"])
    aware = weights_in(made.folder / "retrained.pt")
    retrain(plain, Plan(start="trial", teacher=export.folder), silent)
    assert not all(
        torch.equal(aware[name], other)
        for name, other in weights_in(made.folder / "retrained.pt").items()
    )


@pytest.mark.parametrize(
    ("plan", "what"),
    [
        ({"method": "distil"}, "needs one"),
        ({"method": "prune", "student": POINT}, "give both or none"),
        ({"method": "distil", "student": POINT, "steps": 0}, "has to learn"),
        (
            {"method": "prune", "of": ("heads",), "keep": 0.9},
            "without heads that can be reduced to 0.9; it has neurons, channels",
        ),
    ],
)
def test_what_cannot_be_done_is_said_and_nothing_is_written(export, tmp_path, plan, what):
    with pytest.raises(UserError, match=what):
        go(export, tmp_path / "none", **plan)
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("plan", "what"),
    [
        ({"method": "prune", "threads": 100_000}, "threads = 100000; expected .* at most"),
        ({"method": "quantise-aware"}, "quantise-aware: no ONNX export: it chooses"),
    ],
)
def test_what_cannot_be_measured_is_said_before_the_training(
    export, tmp_path, monkeypatch, plan, what
):
    def refuse(*_):
        raise LatencyError("no ONNX export: it chooses")

    def trained(*_):
        raise AssertionError("it was trained")

    pytest.importorskip("onnx")
    monkeypatch.setattr(int8, "export_onnx", refuse)
    plan = Compression(patches=1, steps=2, **plan)
    with pytest.raises(UserError, match=what):
        compress(export, plan, tmp_path / "none", trained)


class StoppedError(Exception):
    pass


def stopped(export, to, plan):
    """Interrupted after its first epoch."""

    def stop(report, epochs, which):
        raise StoppedError

    with pytest.raises(StoppedError):
        compress(export, plan, to, stop)
    assert not (to / "retrain.yaml").exists()


@pytest.mark.parametrize("there", [False, True], ids=["new", "an empty folder"])
def test_an_interrupted_training_goes_on_and_ends_as_if_it_had_not_been(export, tmp_path, there):
    length = ("train.epochs=2", "train.steps_per_epoch=3")
    plan = Compression(method="prune", patches=1, settings=length)
    compress(export, plan, tmp_path / "whole", silent)
    to = tmp_path / "out"
    if there:
        to.mkdir()
    stopped(export, to, plan)
    with pytest.raises(UserError, match="holds another compression, which was interrupted"):
        compress(export, replace(plan, keep=0.7), to, silent)
    with alone_at(Unfinished(to).folder), pytest.raises(UserError, match="is at work"):
        compress(export, plan, to, silent)
    epochs, notes = [], []
    compress(export, plan, to, lambda report, *_: epochs.append(report.epoch), note=notes.append)
    assert epochs == [2] and "goes on" in notes[0]
    found, expected = (weights_in(tmp_path / name / "retrained.pt") for name in ("out", "whole"))
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in found)
    names = [sorted(each.name for each in (tmp_path / name).iterdir()) for name in ("out", "whole")]
    assert names[0] == names[1] and {each.name for each in tmp_path.iterdir()} == {"out", "whole"}


@pytest.mark.parametrize("there", [False, True], ids=["new", "an empty folder"])
def test_a_way_to_its_place_that_is_cut_off_goes_on(export, tmp_path, there, monkeypatch):
    plan, to = Compression(method="low-rank", steps=0, patches=1), tmp_path / "out"
    if there:
        to.mkdir()
    rename, move, moved = Path.rename, shutil.move, []

    def renamed(self, target):
        if target == to:
            raise OSError("the server went away")
        return rename(self, target)

    def moves(path, target):
        if moved:
            raise OSError("the server went away")
        moved.append(move(path, target))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", renamed)
        patch.setattr(shutil, "move", moves)
        with pytest.raises(OSError, match="went away"):
            compress(export, plan, to, silent)
    assert Unfinished(to).done
    record = compress(export, plan, to, silent)
    assert json.loads((to / "compression.json").read_text()) == record
    assert {each.name for each in tmp_path.iterdir()} == {"out"}
    assert not any("finished" in each.name for each in to.iterdir())


def test_what_fails_after_the_training_does_not_lose_it(export, tmp_path, monkeypatch):
    plan, epochs = Compression(method="low-rank", steps=2, patches=1), []

    def told(report, *_):
        epochs.append(report.epoch)

    def broken(*_):
        raise LatencyError("the device went away")

    with monkeypatch.context() as patch:
        patch.setattr(whole, "latencies", broken)
        with pytest.raises(LatencyError):
            compress(export, plan, tmp_path / "out", told)
    record = compress(export, plan, tmp_path / "out", told)
    assert epochs == [1] and set(record["figures"]) > {"original", "compressed"}
    assert json.loads((tmp_path / "out" / "compression.json").read_text()) == record


def test_a_folder_that_holds_something_is_refused(export, tmp_path):
    plan = Compression(method="prune", steps=2, patches=1)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    with pytest.raises(UserError, match="not empty"):
        compress(export, plan, tmp_path / "full", silent)
    stopped(export, tmp_path / "later", plan)
    (tmp_path / "later").mkdir()
    (tmp_path / "later" / "file").touch()
    with pytest.raises(UserError, match="not empty"):
        compress(export, plan, tmp_path / "later", silent)


def test_the_command_prints_the_figures_and_refuses_parts_of_another_method(
    export, tmp_path, segnas
):
    out = str(export.folder)
    told = ["--method", "prune", "--of", "neurons", "--steps", "0", "--to", str(tmp_path / "out")]
    printed = segnas.printed("compress", out, *told)
    assert all(word in printed for word in ("before fine-tuning", "MMACs", "change", "next:"))
    wrong = ["--method", "low-rank", "--of", "heads", "--to", str(tmp_path / "other")]
    assert "linear, convolutions" in segnas.refused("compress", out, *wrong)


def test_a_student_has_the_axes_of_the_data(tmp_path, phantom_folder, phantom):
    flat, patch = axes_for((1.0, 1.0, 5.0), (16, 16, 5)), [16, 16, 5]
    point = POINT.with_axes(flat)
    folder = write_export(tmp_path / "out", phantom_folder, phantom[1], point=point, patch=patch)
    assert _student("unet-s", Export(folder)).strides()[2] == 1
    with pytest.raises(UserError, match="--student apformer-xs does not take the patches of"):
        _student("apformer-xs", Export(folder))  # of the plane: its features are no volumes


def test_a_student_that_does_not_take_the_patch_is_told(export, tmp_path, segnas):
    told = ["--method", "distil", "--student", "unetr-s", "--to", str(tmp_path / "out")]
    patch = ["--set", "train.patch=[24,16,16]"]
    error = " ".join(segnas.refused("compress", export.folder, *told, *patch).split())
    assert "--student unetr-s does not take the patches of" in error
    assert "[24, 16, 16] voxels; every axis must be a multiple of 16; choose another" in error
    assert "--input" not in error


class Mean(nn.Module):
    """A loss: the weighted mean of what comes out."""

    def forward(self, logits, labels):
        return (logits * labels).mean()


def batches(count=3, tokens=5, channels=32):
    generator = torch.Generator().manual_seed(3)
    draw = [torch.randn(2, 1, tokens, channels, generator=generator) for _ in range(count)]
    return [(images, labels) for images, labels in draw]


def test_importance_is_the_derivative_by_a_factor_on_what_the_unit_gives():
    torch.manual_seed(0)
    layer = transformer_layer(32, 4, 2).double().eval()
    data = [(x.double(), y.double()) for x, y in batches()]
    units = prunable(layer)
    found = importance(layer, units, data, Mean())
    for name, weight, width in (
        ("mixer.heads", layer.mixer.project.weight, 8),
        ("mlp.neurons", layer.mlp[2].weight, 1),
    ):
        for unit in (0, 3):
            expected, own = 0.0, slice(unit * width, (unit + 1) * width)
            whole = weight.detach().clone()
            for x, y in data:
                values = []
                for factor in (1 + 1e-4, 1 - 1e-4):
                    with torch.no_grad():
                        weight[:, own] = whole[:, own] * factor
                        values.append(Mean()(layer(x), y))
                        weight.copy_(whole)
                expected += abs(float(values[0] - values[1]) / 2e-4)
            assert float(found[name][unit]) == pytest.approx(expected, rel=1e-4)


def test_units_that_nothing_hears_go_first():
    torch.manual_seed(0)
    layer = transformer_layer(32, 4, 2).eval()
    with torch.no_grad():
        layer.mixer.project.weight[:, 8:24] = 0  # heads 1 and 2
        layer.mlp[2].weight[:, ::2] = 0
    x, y = batches(1)[0]
    expected = layer(x)
    left = prune(layer, 0.5, ("heads", "neurons"), [(x, y)], Mean())
    assert left == {"mixer.heads": 2, "mlp.neurons": 32}
    torch.testing.assert_close(layer(x), expected)


def test_of_every_section_as_many_are_kept():
    found = torch.tensor([9.0, 8.0, 7.0, 1.0, 2.0, 3.0])
    assert most_important(found, 2, 4) == [0, 1, 4, 5]


def test_factors_of_full_rank_are_the_layer_and_thin_ones_know_the_inputs():
    torch.manual_seed(0)
    layer = nn.Linear(12, 8)
    whole = Factors(layer, 8)
    whole.fill(layer)
    x = torch.randn(500, 12) @ torch.diag(torch.logspace(0, -3, 12)) @ torch.randn(12, 12)
    torch.testing.assert_close(whole(x), layer(x), rtol=1e-4, atol=1e-4)
    blind, seeing = Factors(layer, 2), Factors(layer, 2)
    blind.fill(layer)
    seeing.fill(layer, x.T @ x / len(x))
    gaps = [float((each(x) - layer(x)).detach().square().mean()) for each in (blind, seeing)]
    assert gaps[1] < 0.5 * gaps[0]
    conv = nn.Conv3d(4, 6, 3, stride=2, padding=1)
    both = Factors(conv, 6)
    both.fill(conv)
    volume = torch.randn(1, 4, 8, 8, 8)
    torch.testing.assert_close(both(volume), conv(volume), rtol=1e-4, atol=1e-4)


def test_maps_that_are_factors_or_thin_stay_whole():
    network = nn.Sequential(
        nn.Linear(32, 32), nn.GELU(), nn.Linear(32, 8), nn.GELU(),
        nn.Sequential(nn.Linear(8, 20), nn.Linear(20, 32)),
    ).eval()  # fmt: skip
    ranks = factorise(network, 0.5, ("linear",), [torch.randn(64, 32)])
    assert ranks == {"0": 8}  # 8 (32 + 32) = half of 32 * 32
