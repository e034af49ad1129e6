from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from rich.console import Console
from torch import nn

from nas.cli.audit_table import audit_table
from nas.cli.main import main
from nas.cost.audit import audit
from nas.cost.count import cost_of
from search_spaces.registry import find_preset
from search_spaces.space import Architecture, choice


class Mixer(nn.Module):
    """Token products that no module holds, and a product with one vector, which torch has no
    formula for."""

    def forward(self, x):
        z = x.flatten(2)  # (1, C, N)
        mixed = (z @ z.mT) @ z
        return mixed.unflatten(2, x.shape[2:]) + (z[0] @ z[0, 0]).sum()


class Mixed(nn.Module):
    def __init__(self, in_channels, out_channels):
        super().__init__()
        self.enter = nn.Conv2d(in_channels, 4, 1)
        self.mixers = nn.ModuleList([Mixer(), Mixer()])
        self.leave = nn.Conv2d(4, out_channels, 1)

    def forward(self, x):
        y = self.enter(x)
        for mixer in self.mixers:
            y = torch.relu(mixer(y))
        return self.leave(y)


@dataclass(frozen=True, kw_only=True)
class Unseen(Architecture):
    """A network with a block that thop cannot see into."""

    space: ClassVar[str] = "unseen"
    spatial_dims: ClassVar[int] = 2

    depth: int = choice(2, doc="mixers")

    def stride(self):
        return 1

    def build(self, in_channels, out_channels):
        return Mixed(in_channels, out_channels)


PIXELS = 8 * 8
PRODUCTS = 2 * 4 * 4 * PIXELS  # of one mixer


def rows(audited):
    return {row.where: (row.kind, row.thop, row.torch, row.agrees) for row in audited.rows}


def test_modules_that_count_something_have_a_row_with_both_counts():
    assert rows(audit(Unseen(), 3, 2, (8, 8))) == {
        "enter": ("Conv2d", 3 * 4 * PIXELS, 3 * 4 * PIXELS, True),
        "mixers.0": ("Mixer", 0, PRODUCTS, False),
        "mixers.1": ("Mixer", 0, PRODUCTS, False),
        "leave": ("Conv2d", 2 * 4 * PIXELS, 2 * 4 * PIXELS, True),
    }


def test_types_of_modules_are_added_up_the_costliest_first():
    kinds = audit(Unseen(), 3, 2, (8, 8)).by_kind()
    assert [(row.kind, row.modules, row.thop, row.torch) for row in kinds] == [
        ("Mixer", 2, 0, 2 * PRODUCTS),
        ("Conv2d", 2, 5 * 4 * PIXELS, 5 * 4 * PIXELS),
    ]


def test_operators_that_neither_counted_are_named_apart_from_free_ones():
    audited = audit(Unseen(), 3, 2, (8, 8))
    assert audited.uncounted == {"aten.mv": 2}
    assert {"aten.relu", "aten.view", "aten.sum", "aten.add"} <= audited.free.keys()
    assert audited.free["aten.relu"] == 2


def test_the_cost_warns_of_the_block_by_name_and_is_the_larger_count():
    with pytest.warns(UserWarning, match="of Mixer; .*--audit"):
        cost = cost_of(Unseen(), 3, 2, (8, 8))
    assert cost.macs == 5 * 4 * PIXELS + 2 * PRODUCTS == audit(Unseen(), 3, 2, (8, 8)).macs


def shown(audited, by_kind=False):
    console = Console(width=110)
    with console.capture() as captured:
        console.print(audit_table(audited, by_kind), highlight=False)
    return captured.get()


def test_the_table_marks_differences_and_names_what_nobody_counted():
    text = shown(audit(Unseen(), 3, 2, (8, 8)))
    assert "mixers.1" in text and "thop -100.0%" in text
    assert "The two disagree by more than 0.1%" in text
    assert "Neither counted these" in text and "aten.mv 2" in text
    assert "mixers.1" not in shown(audit(Unseen(), 3, 2, (8, 8)), by_kind=True)


def test_the_table_of_a_network_without_surprises_is_calm():
    text = shown(audit(find_preset("hybrid-tokens"), 1, 2, (32, 32, 32)))
    assert "No operator was left out" in text
    assert "disagree" not in text and "%" not in text


def test_the_command_tells_both_counts(segnas):
    words = ["cost", "hybrid-tokens", "--input", "1x32x32x32", "--classes", "2"]
    told = segnas.json(*words, "--audit")
    cost = cost_of(find_preset("hybrid-tokens"), 1, 2, (32, 32, 32))
    assert told["thop"] == told["torch"] == told["macs"] == cost.macs
    assert sum(row["torch"] for row in told["modules"]) == cost.macs
    assert told["uncounted"] == {} and told["free"]["aten.cat"] > 0
    assert "ConvTranspose3d" in segnas.printed(*words, "--audit", "types")
    with pytest.raises(SystemExit):
        main([*words, "--audit", "--convention", "published"])
