"""A network evaluated again with its mechanisms replaced, and what is said of them."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from nas.analysis.explain.ablation import (
    Difference,
    MeansShown,
    Replacement,
    dice_of_cases,
    difference,
    replaced,
    replacements_of,
)
from nas.analysis.explain.explain_report import Ablation
from nas.analysis.explain.price import prices
from nas.analysis.explain.tables import ablation_table
from nas.analysis.explain.verdict import Ablated
from nas.cost.count import cost_of
from search_spaces.blocks.lspm import TextureMap, TextureRouting
from search_spaces.hybrid import Hybrid, Layer, TokenStage
from search_spaces.registry import find_preset
from tests.nas.analysis.explained import Pointing, segmenter_of, spotted, write_case
from trainers.data.source import Case
from trainers.data.task import Task
from trainers.errors import UserError
from trainers.evaluate import evaluate_folder

ITSELF, MEAN = Replacement("brightest", "itself"), Replacement("brightest", "mean")


def quiet(*_):
    """No progress."""


@pytest.fixture(scope="module")
def spots(tmp_path_factory):
    """A folder of four volumes with a spot each, and their cases."""
    folder, rng, cases = tmp_path_factory.mktemp("spots"), np.random.default_rng(4), []
    for number, spot in enumerate([(4, 4, 4), (11, 4, 9), (5, 12, 12), (12, 12, 4)]):
        image, label = spotted(rng, (16, 16, 16), spot)
        case = write_case(folder, f"case_{number}", image, label=label)
        cases.append(Case(case.name, case.image, case.label))
    return folder, cases


class Nothing(nn.Module):
    """Finds nothing anywhere."""

    def __init__(self):
        super().__init__()
        self.logits = nn.Parameter(torch.tensor([1.0, 0.0]))

    def forward(self, x):
        return self.logits.view(1, 2, 1, 1, 1).expand(len(x), 2, *x.shape[2:])


def test_without_a_class_in_any_case_there_is_nothing_to_compare(tmp_path):
    image = np.zeros((16, 16, 16), np.float32)
    case = write_case(tmp_path, "control", image, label=np.zeros_like(image, np.uint8))
    cases = [Case(case.name, case.image, case.label)]
    with pytest.raises(UserError, match="no case has a class"):
        dice_of_cases(segmenter_of(Nothing(), (16, 16, 16)), cases, quiet, "")


def test_a_mechanism_replaced_by_itself_gives_the_same_dice_that_evaluate_gives(spots):
    folder, cases = spots
    segmenter = segmenter_of(Pointing(), (16, 16, 16))
    before = dice_of_cases(segmenter, cases, quiet, "")
    with replaced(segmenter.network, ITSELF, {}):
        after = dice_of_cases(segmenter, cases, quiet, "")
    evaluation = evaluate_folder(segmenter, folder / "images", folder / "labels")
    assert before.tolist() == after.tolist()
    assert before.tolist() == [case.dice for case in evaluation.cases.values()]
    assert before.tolist() == [1.0] * 4


def test_a_mechanism_that_the_network_uses_loses_dice_where_it_is_replaced(spots):
    segmenter, cases = segmenter_of(Pointing(), (16, 16, 16)), spots[1]
    shown = MeansShown()
    with shown.of(segmenter.network):
        before = dice_of_cases(segmenter, cases, quiet, "")
    means = shown.means()
    # The spots' middle: what case by case would be their place.
    expected = np.mean([(4, 4, 4), (11, 4, 9), (5, 12, 12), (12, 12, 4)], axis=0) / 16
    torch.testing.assert_close(
        means["point", "brightest"], torch.tensor(expected[None], dtype=torch.float32)
    )
    with replaced(segmenter.network, MEAN, means):
        after = dice_of_cases(segmenter, cases, quiet, "")
    assert after.max() < 0.3
    assert dice_of_cases(segmenter, cases, quiet, "").tolist() == before.tolist()  # as it was
    assert replacements_of(segmenter.network) == [ITSELF, MEAN]


class Textured(nn.Module):
    """Segments where the texture map is above a half: by weights that make it the brightness."""

    def __init__(self):
        super().__init__()
        self.texture, self.route = TextureMap(3, 4), TextureRouting(3, 4)
        for parameter in self.parameters():
            nn.init.zeros_(parameter)
        nn.init.constant_(self.texture.project.weight, 5.0)
        nn.init.constant_(self.texture.project.bias, -40.0)
        self.route.detail = nn.Conv3d(4, 4, 1)
        nn.init.zeros_(self.route.detail.weight)
        nn.init.ones_(self.route.detail.bias)
        nn.init.constant_(self.route.smooth.bias, -1.0)

    def forward(self, x):
        x = x.repeat(1, 4, 1, 1, 1)
        y = self.route(x, self.texture(x))  # 1 where there is texture, -1 elsewhere
        return torch.cat([torch.zeros_like(y[:, :1]), y[:, :1]], dim=1)


def test_texture_that_decides_is_missed_where_it_is_constant(tmp_path):
    rng, cases = np.random.default_rng(5), []
    for number in range(2):
        image = rng.uniform(0, 0.1, (12, 12, 12))
        label = np.zeros(image.shape, np.uint8)
        label[3 + number : 6 + number, 4:6, 4:7] = 1
        case = write_case(tmp_path, f"case_{number}", image + 5 * label, label=label)
        cases.append(Case(case.name, case.image, case.label))
    segmenter = segmenter_of(Textured(), (12, 12, 12))
    shown = MeansShown()
    with shown.of(segmenter.network):
        before = dice_of_cases(segmenter, cases, quiet, "")
    (what,) = replacements_of(segmenter.network)
    assert what == Replacement("texture routing", "constant")
    assert shown.means()["texture", "texture routing"]["texture"] == pytest.approx(18 / 12**3, 1e-2)
    with replaced(segmenter.network, what, shown.means()):
        after = dice_of_cases(segmenter, cases, quiet, "")
    assert (before.tolist(), after.tolist()) == ([1.0, 1.0], [0.0, 0.0])


def test_random_replacements_are_the_same_every_time(spots):
    point = Hybrid(
        width=4,
        convs=1,
        token_stages=1,
        tokens=(TokenStage(layers_count=3, layers=(Layer(),) * 3, prune=0.5),),
    )
    torch.manual_seed(0)
    segmenter = segmenter_of(point.build(1, 2), (16, 16, 16))
    at_random = Replacement("token pruning", "random scores")
    assert at_random in replacements_of(segmenter.network)
    with replaced(segmenter.network, at_random, {}):
        first, again = (dice_of_cases(segmenter, spots[1], quiet, "") for _ in range(2))
    assert first.tolist() == again.tolist()


# The price


def priced(architecture, patch, mechanisms, kept=1.0):
    task = Task(channels=1, classes=("background", "a"), spacing=None, patch=patch)
    with torch.device("meta"):
        offered = replacements_of(architecture.build(1, 2))
    what = [one for one in offered if one.mechanism in mechanisms]
    return prices(architecture, task, what, {}, kept)


def test_pruned_queries_are_paid_at_the_share_that_asks():
    architecture, patch = find_preset("apformer-3d-xs"), (32, 32, 32)
    found = priced(architecture, patch, ("query pruning", "dependency pruning"), kept=0.25)
    assert found.macs == cost_of(architecture, 1, 2, patch, kept=0.25).macs
    everything = found.without[Replacement("query pruning", "nothing pruned")]
    assert everything == cost_of(architecture, 1, 2, patch).macs
    assert found.without[Replacement("query pruning", "random queries")] == found.macs
    assert found.without[Replacement("dependency pruning", "nothing pruned")] == found.macs


def test_tokens_that_are_kept_cost_what_the_layers_after_them_make_of_them():
    layers = {"layers_count": 3, "layers": (Layer(),) * 3}
    stage = TokenStage(**layers, prune=0.5)
    pruned = Hybrid(width=4, convs=1, token_stages=1, tokens=(stage,))
    found = priced(pruned, (32, 32, 32), ("token pruning",))
    whole = found.without[Replacement("token pruning", "nothing pruned")]
    plain = Hybrid(width=4, convs=1, token_stages=1, tokens=(TokenStage(**layers),))
    scores = found.own["token pruning"]
    # Without pruning it is the plain network, but for the scores, which are still computed.
    assert whole == cost_of(plain, 1, 2, (32, 32, 32)).macs + scores
    tokens, channels = 4**3, 16
    by_hand = tokens * (channels**2 + 2 * channels * channels // 2 + channels // 2)
    assert scores == by_hand
    assert found.macs < whole


def test_what_a_replacement_computes_itself_is_no_part_of_the_network():
    found = priced(find_preset("hybrid-routed"), (32, 32, 32), ("skip router",))
    assert found.without == {Replacement("skip router", "uniform shares"): found.macs}
    assert 0 < found.own["skip router"] < found.macs


# What is said


def test_the_difference_is_paired_and_its_error_is_over_patients():
    before = np.array([0.8, 0.9, 0.7, math.nan])
    after = np.array([0.7, 0.9, 0.5, 0.4])
    found = difference("abcd", before, after, ["ab", "c", "d"])
    # patients: -0.05 and -0.2, mean -0.125, deviation 0.10607, error 0.075; t(1) at 97.5%: 12.706
    assert found.mean == pytest.approx(-0.125)
    assert found.error == pytest.approx(0.075)
    assert (found.low, found.high) == pytest.approx((-1.07797, 0.82797), abs=1e-4)
    assert (found.patients, found.worse) == (2, 2)
    alone = difference("a", before[:1], after[:1], ["a"])
    assert (alone.error, alone.low, alone.patients, alone.unit) == (None, None, 1, "patient")
    assert difference("a", before[:1], after[:1], ["a"], "case").unit == "case"


@pytest.mark.parametrize(
    ("low", "high", "macs", "said"),
    [
        (-0.3, -0.1, 100, "earns its cost"),
        (-0.1, 0.1, 100, "no difference seen"),
        (0.0, 0.0, 100, "changes nothing"),
        (0.1, 0.2, 100, "does harm"),
        (0.1, 0.2, 200, "saves 50% of MACs, and costs Dice"),
        (-0.1, 0.2, 200, "saves 50% of MACs for no Dice that is seen"),
        (-0.2, -0.1, 200, "saves 50% of MACs, and gains Dice"),
        (None, None, 100, "a single patient tells nothing"),
    ],
)
def test_the_verdict_goes_by_the_interval_and_by_what_is_saved(low, high, macs, said):
    seen = Difference(0.0, None, low, high, 5, 2)
    assert Ablated(ITSELF, 0.5, seen, 10, macs, 100).verdict == said


def test_without_groups_the_table_counts_cases():
    for unit in ("case", "patient"):
        seen = Difference(0.0, 0.1, -0.1, 0.1, 5, 2, unit)
        one = Ablated(ITSELF, 0.5, seen, 10, 100, 100)
        table = ablation_table(Ablation(("a",), (0.5,), (one,), ((0.5,),)))
        assert f"paired, over 5 {unit}s; verdicts" in table.caption
