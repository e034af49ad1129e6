from dataclasses import dataclass
from typing import ClassVar

import pytest
from rich.console import Console
from torch import nn

from nas.cli.main import main
from nas.cli.space_tables import cost_text, describe_presets, misfit, presets_table, work_json
from nas.cost.count import Cost
from search_spaces.hybrid import Hybrid
from search_spaces.registry import SPACES, all_presets, find_preset
from search_spaces.space import Architecture, choice


@dataclass(frozen=True, kw_only=True)
class Flat(Architecture):
    """A single 1^2 convolution of images."""

    space: ClassVar[str] = "flat"
    spatial_dims: ClassVar[int] = 2

    bias: bool = choice(True, False, doc="whether it has one")

    def stride(self):
        return 1

    def build(self, in_channels, out_channels):
        return nn.Conv2d(in_channels, out_channels, 1, bias=self.bias)


def test_spaces_lists_every_space_with_its_knobs_size_and_presets(segnas):
    listed = segnas.json("spaces")["spaces"]
    assert [space["name"] for space in listed] == list(SPACES)
    hybrid = listed[0]
    assert hybrid["size"] == SPACES["hybrid"].size()
    assert hybrid["presets"] == list(SPACES["hybrid"].presets())
    (levels,) = [knob for knob in hybrid["knobs"] if knob["name"] == "levels"]
    assert levels == {"name": "levels", "options": [3, 4, 5], "doc": "resolutions"}


@pytest.mark.parametrize("command", ["spaces", "presets"])
def test_no_name_of_a_preset_is_broken_in_a_table(command, segnas):
    text = segnas.printed(command)
    assert [name for name in all_presets() if name not in text] == []


def test_a_space_is_shown_with_options_and_preset_parameters(segnas):
    text = segnas.printed("spaces", "hybrid")
    assert f"{SPACES['hybrid'].size():,} spellings" in text
    (line,) = [line for line in text.splitlines() if line.split()[:1] == ["levels"]]
    assert line.split() == ["levels", "3,", "4,", "5", "resolutions"]
    details = segnas.json("spaces", "hybrid")
    assert details["name"] == "hybrid"
    for preset in details["presets"]:
        network = find_preset(preset["name"]).build(1, 4)
        trained = [p for p in network.parameters() if p.requires_grad]
        assert preset["params"] == sum(p.numel() for p in trained)
        assert f"{preset['params']:,}" in text


def test_an_unknown_space_is_refused_with_the_nearest(segnas):
    for words in (["spaces", "hybird"], ["presets", "--space", "hybird"]):
        assert "Did you mean hybrid?" in segnas.refused(*words)


def test_presets_are_named_by_key_and_space(segnas):
    listed = segnas.json("presets")["presets"]
    assert [preset["name"] for preset in listed] == list(all_presets())
    for preset in listed:
        architecture = find_preset(preset["name"])
        assert preset["key"] == architecture.key
        assert preset["space"] == architecture.space
        assert preset["stride"] == architecture.stride()
        assert "macs" not in preset


def test_presets_of_one_space_are_costed_at_an_input(segnas):
    words = ["--space", "hybrid", "--input", "2x32x32x32", "--classes", "3"]
    for preset in segnas.json("presets", *words)["presets"]:
        size = ["--input", "2x32x32x32", "--classes", "3"]
        alone = segnas.json("cost", preset["name"], *size)
        assert preset["space"] == "hybrid"
        assert (preset["params"], preset["macs"]) == (alone["params"], alone["macs"])


def test_a_preset_that_does_not_take_the_input_has_no_work():
    named = {"deep": Hybrid(levels=5), "flat": Flat(), "fits": Hybrid(levels=3)}
    deep, flat, fits = describe_presets(named, (3, 24, 24, 24), 2)
    assert deep.cost is None and flat.cost is None
    assert flat.params == 3 * 2 + 2
    assert fits.cost is not None
    console = Console(width=100)
    with console.capture() as shown:
        console.print(presets_table([deep, flat, fits]))
    lines = [line.split() for line in shown.get().splitlines()]
    assert ["flat", Flat().key, "2", "1", "8"] in lines
    assert [line[-1] for line in lines if line[:1] == ["deep"]] == ["-"]


@pytest.mark.parametrize(
    ("architecture", "patch", "why"),
    [
        (Hybrid(levels=3), (24, 32, 40), None),
        (Flat(), (31, 7), None),
        (Hybrid(levels=3), (24, 32), "3 axes, CxDxHxW"),
        (Flat(), (8, 8, 8), "2 axes, CxHxW"),
        (Hybrid(levels=3), (24, 30, 40), "[24, 30, 40] voxels; every axis must be a multiple of 8"),
    ],
)
def test_a_misfit_is_explained(architecture, patch, why):
    found = misfit(architecture, patch)
    assert found is None if why is None else why in found


def test_cost_names_what_torch_has_no_formula_for_and_the_least():
    cost = Cost(1234, 5_000_000_000, 2_000_000_000, {"selective_scan": 1_500_000_000})
    assert cost_text(cost) == (
        "1,234 parameters, 5 GMACs (at least 2, selective scan 1.5), 10 GFLOPs"
    )
    assert work_json(cost) == {
        "macs": 5_000_000_000,
        "flops": 10_000_000_000,
        "macs_least": 2_000_000_000,
        "named": {"selective_scan": 1_500_000_000},
    }


def test_cost_is_plain_where_there_is_no_more_to_say():
    assert cost_text(Cost(12, 10**9)) == "12 parameters, 1 GMACs, 2 GFLOPs"
    assert work_json(Cost(12, 10**9)) == {"macs": 10**9, "flops": 2 * 10**9}


def test_a_2d_network_is_costed_at_an_image(segnas):
    size = ["--input", "3x256x256", "--classes", "2"]
    figures = segnas.json("cost", "apformer", *size)
    assert 0 < figures["macs_least"] < figures["macs"]


@pytest.mark.parametrize(
    ("network", "shape", "message"),
    [
        ("apformer", "3x8x256x256", "--input 3x8x256x256: expected channels and 2 axes, CxHxW"),
        ("hybrid-s", "3x256x256", "--input 3x256x256: expected channels and 3 axes, CxDxHxW"),
        ("hybrid-s", "1x30x32x32", "--input 1x30x32x32: [30, 32, 32] voxels; every axis must be"),
    ],
)
def test_an_input_of_another_shape_is_refused_by_what_is_expected(network, shape, message, segnas):
    error = segnas.refused("cost", network, "--input", shape, "--classes", "2")
    assert message in error


def test_a_folder_that_is_no_export_is_refused_as_such(tmp_path, segnas):
    error = segnas.refused("cost", tmp_path, "--input", "1x32x32x32", "--classes", "2")
    assert "is no export: architecture.json is missing" in " ".join(error.split())


@pytest.mark.parametrize("shape", ["96x96", "1x96x96x96x96", "1x0x96x96", "axbxc", "1x96x96x"])
def test_an_input_that_is_no_shape_is_refused(shape, capsys):
    with pytest.raises(SystemExit):
        main(["cost", "hybrid-s", "--input", shape, "--classes", "2"])
    assert "expected channels and size, like 1x96x96x96" in capsys.readouterr().err


def test_classes_are_one_or_more(capsys):
    for classes in ("0", "-1", "two"):
        with pytest.raises(SystemExit):
            main(["cost", "hybrid-s", "--input", "1x32x32x32", "--classes", classes])
        assert "expected 1 or more" in capsys.readouterr().err


def memory(segnas, *more):
    network = ("hybrid-xs", "--input", "1x32x32x32", "--classes", "3")
    return segnas.json("cost", *network, *more)["memory"]


def test_cost_tells_the_memory_of_a_training_step(segnas):
    two, four = memory(segnas), memory(segnas, "--batch", "4")
    assert two["weights"] == four["weights"] < two["activations"] < two["training"]
    assert two["inference"] == four["inference"] < two["training"]
    assert four["activations"] == pytest.approx(2 * two["activations"], rel=0.05)
    assert memory(segnas, "--precision", "bf16")["activations"] < two["activations"]
