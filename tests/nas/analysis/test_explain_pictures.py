"""What is drawn is what the network decided, where it decided it."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from nas.analysis.explain.ablation import MeansShown, Replacement, replaced
from nas.analysis.explain.case_view import look_at
from nas.analysis.explain.drawing import mechanism_figure
from nas.analysis.explain.probe import Item, Probe
from nas.analysis.explain.tally import Tally
from nas.report.html_page import png
from search_spaces.blocks.anchors import AnchorDetector, PositionBias
from search_spaces.blocks.gated_layer import transformer_layer
from search_spaces.blocks.position import sincos_embedding
from search_spaces.blocks.sparse_encoder import SparseEncoder, sampler
from search_spaces.blocks.token_completion import MaskTokenCompletion, MultiLayerAssembly
from search_spaces.registry import find_preset
from tests.nas.analysis.explained import (
    Pointing,
    Pruning,
    segmenter_of,
    spotted,
    write_case,
)

DROPPED = Item("token pruning", "assemble")
POINT = Item("brightest", "point")


def plane_of(view, name):
    (found,) = [plane for plane in view.planes if plane.name == name]
    return found


def fates(image):
    """Of a window: 0 for voxels whose block of 4 is kept, else where it is dropped, by hand."""
    blocks = image
    for axis in range(image.ndim):
        blocks = blocks.reshape(*blocks.shape[:axis], -1, 4, *blocks.shape[axis + 1 :]).mean(
            axis + 1
        )
    order, fate = np.argsort(blocks.ravel()), np.zeros(blocks.size, int)
    fate[order[: len(order) // 2]] = 1
    fate[order[len(order) // 2 : len(order) * 3 // 4]] = 2
    return np.kron(fate.reshape(blocks.shape), np.ones((4,) * image.ndim, int))


def drawn_fates(maps):
    kept, first, second = (
        maps[name] for name in ("kept", "dropped at place 1", "dropped at place 2")
    )
    np.testing.assert_array_equal(kept + first + second, 1)
    return first + 2 * second


def test_the_drawn_depth_map_is_that_of_the_tokens_really_dropped(tmp_path):
    image = np.random.default_rng(0).uniform(0, 1, (16, 32, 16))  # two windows
    label = np.zeros(image.shape, np.uint8)
    label[3, 20, 9] = 1
    case = write_case(tmp_path, "a", image, label=label)
    tally = Tally()
    view = look_at(segmenter_of(Pruning(), (16, 16, 16)), case, tally)

    fate = np.concatenate([fates(image[:, :16]), fates(image[:, 16:])], axis=1)
    slices = {"axial": fate[:, :, 9], "coronal": fate[:, 20], "sagittal": fate[3]}
    for name, expected in slices.items():
        drawn = drawn_fates(plane_of(view, name).maps[DROPPED])
        np.testing.assert_array_equal(drawn, expected.T[::-1, ::-1])
    numbers = {share.name: share for share in tally.shares()}
    assert numbers["kept"].mean == 0.25
    assert numbers["dropped at place 1"].mean == 0.5
    where = ["kept", "dropped at place 1", "dropped at place 2"][fate[3, 20, 9]]
    assert {name: share.inside for name, share in numbers.items()} == {
        name: float(name == where) for name in numbers
    }


def test_slices_of_a_plane_network_have_their_tokens_each(tmp_path):
    image = np.random.default_rng(1).uniform(0, 1, (3, 16, 32))
    case = write_case(tmp_path, "a", image)
    view = look_at(segmenter_of(Pruning(axes=2), (3, 16, 16)), case, Tally())
    halves = (image[..., :16], image[..., 16:])
    fate = np.concatenate([np.stack(list(map(fates, half))) for half in halves], axis=2)
    for name, expected in (("sagittal", fate[1]), ("axial", fate[:, :, 16])):
        drawn = drawn_fates(plane_of(view, name).maps[DROPPED])
        np.testing.assert_array_equal(drawn, expected.T[::-1, ::-1])


@pytest.mark.parametrize("kind", ["stp", "evit", "dynamic"])
@pytest.mark.parametrize("completion", ["mta", "mim"])
def test_every_sampler_s_tokens_are_shown_as_the_encoder_drops_them(kind, completion):
    torch.manual_seed(0)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Conv3d(1, 8, 2, 2)
            done = (
                MultiLayerAssembly(8, 2, 2, 2)
                if completion == "mta"
                else MaskTokenCompletion(8, 2, 2)
            )
            layers = [transformer_layer(8, 2, 2) for _ in range(3)]
            samplers = [sampler(kind, 8, 0.5, 1.0) for _ in range(2)]
            self.encoder = SparseEncoder(layers, [1, 2], samplers, done)

        def forward(self, x):
            z = self.embed(x)
            position = sincos_embedding(tuple(z.shape[2:]), 8, x.device)
            z = z.flatten(2).mT
            return self.encoder(torch.cat([z[:, :1], z], dim=1), position)

    net, seen = Net().eval(), []
    for one in net.encoder.samplers:
        one.register_forward_hook(lambda _, inputs, output: seen.append(output))
    with Probe(net) as probe, torch.inference_mode():
        net(torch.randn(1, 1, 8, 8, 4))
    (maps,) = [v for i, v in probe.take_placed((8, 8, 4)).items() if i.mechanism == "token pruning"]
    first, second = seen
    fate = torch.zeros(32, dtype=torch.long)
    fate[first.dropped_index[0]] = 1
    fate[first.kept_index[0][second.dropped_index[0]]] = 2
    for number, values in enumerate(maps.values()):
        assert values.shape == (4, 4, 2)
        assert torch.equal(values.flatten(), (fate == number).float())


@pytest.mark.parametrize("flips", [(1, 1, 1), (-1, 1, -1)])
def test_points_lie_on_the_voxel_that_they_mean(tmp_path, flips):
    # A volume that is cut in one axis into windows that overlap, and padded in another; in another
    # orientation than the network's grid.
    spot = (7, 22, 5)
    image, _ = spotted(np.random.default_rng(2), (11, 27, 14), spot)
    label = np.zeros(image.shape, np.uint8)
    label[spot] = 1
    affine = np.zeros((4, 4))
    affine[[1, 0, 2], [0, 1, 2]] = np.array(flips) * (1.0, 2.0, 3.0)  # axes swapped
    affine[3, 3] = 1
    case = write_case(tmp_path, "a", image, affine, label)
    tally = Tally()
    view = look_at(segmenter_of(Pointing(), (16, 16, 14), overlap=0.25), case, tally)
    assert [plane.name for plane in view.planes] == ["axial", "coronal", "sagittal"]
    for plane in view.planes:
        (there,) = np.argwhere(plane.truth)
        assert plane.grey[tuple(there)] == 1
        off = np.abs(plane.points[POINT] - [*there, 0]).max(axis=1)
        assert off.min() < 1e-4
    assert [one.deviation for one in tally.moved()] == [None]  # a single case


def test_points_of_a_plane_network_lie_in_their_slices(tmp_path):
    rng = np.random.default_rng(3)
    image = rng.uniform(0, 1, (4, 12, 12))
    spots = [(2, 3), (9, 4), (5, 10), (7, 7)]
    for number, spot in enumerate(spots):
        image[(number, *spot)] = 9
    case = write_case(tmp_path, "a", image)
    view = look_at(segmenter_of(Pointing(axes=2), (4, 12, 12)), case, Tally())
    points = plane_of(view, "sagittal").points[POINT]
    found = sorted((11 - column, 11 - row) for row, column, _ in points)
    np.testing.assert_allclose(found, sorted(spots), atol=1e-4)
    axial = plane_of(view, "axial").points[POINT]  # rows are y, columns the slices
    np.testing.assert_allclose(sorted(3 - axial[:, 1]), range(4), atol=1e-4)


def test_an_anchor_stands_where_its_position_bias_is_zero():
    bias = PositionBias(3, 1, 1)
    nn.init.ones_(bias.project.weight)
    nn.init.zeros_(bias.project.bias)
    with torch.no_grad():
        field = bias(torch.tensor([[[0.25, 0.5, 0.75]]]), (8, 8, 8))
    assert field[0, 0, 2, 4, 6].abs() < 1e-6  # 8 times the anchor


class Locating(nn.Module):
    """One anchor of the soft argmax, of a map of means over blocks of 8 voxels."""

    def __init__(self):
        super().__init__()
        self.detector = AnchorDetector(3, 1, 1, head="soft-argmax")
        self.detector.encoder = nn.AvgPool3d(8)
        self.detector.locate = nn.Conv3d(1, 1, 1, bias=False)
        nn.init.constant_(self.detector.locate.weight, 100.0)  # one block has all of the softmax

    def forward(self, x):
        return torch.cat([x, self.detector(x).sum() + x], dim=1)


def test_an_anchor_of_the_soft_argmax_is_drawn_in_the_middle_of_what_it_found(tmp_path):
    label = np.zeros((16, 24, 16), np.uint8)
    label[8:, 8:16, :8] = 1
    image = np.random.default_rng(0).uniform(0, 1, label.shape) + 9 * label
    case = write_case(tmp_path, "a", image, label=label)
    view = look_at(segmenter_of(Locating(), label.shape), case, Tally())
    for plane in view.planes:
        middle = np.argwhere(plane.truth).mean(0)
        [point] = plane.points[Item("anchors", "detector")]
        np.testing.assert_allclose(point[:2], middle, atol=1e-4)


def test_the_mean_of_one_case_in_place_of_its_anchors_changes_nothing():
    net, shown = Locating().eval(), MeansShown()
    x = torch.randn(1, 1, 16, 24, 16, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        with shown.of(net):
            before = net(x)
        with replaced(net, Replacement("anchors", "mean over cases"), shown.means()):
            torch.testing.assert_close(net(x), before)


def test_the_window_is_drawn_whose_middle_is_nearest(tmp_path):
    class Window(nn.Module):
        """Shows which window it is."""

        def __init__(self):
            super().__init__()
            self.number, self.weight = -1, nn.Parameter(torch.zeros(1))

        def forward(self, x):
            self.number += 1
            return torch.cat([x, x], dim=1)

        def shows(self, inputs, output):
            return {"window": {"number": torch.full((1, 2, 2, 2), float(self.number))}}

    net = Window()
    case = write_case(tmp_path, "a", np.random.default_rng(0).uniform(0, 1, (8, 8, 24)))
    segmenter = segmenter_of(net, (8, 8, 16), overlap=0.5)
    segmenter.logits(segmenter.prepare(case.image))
    passes = net.number + 1  # of the segmentation, two windows at a time
    view = look_at(segmenter, case, Tally())
    drawn = plane_of(view, "coronal").maps[Item("window", "")]["number"][::-1, 0]
    drawn = drawn - 2 * passes
    np.testing.assert_array_equal(drawn, [0] * 12 + [1] * 12)


def test_the_name_of_a_case_is_drawn_as_it_is(tmp_path):
    image, _ = spotted(np.random.default_rng(0), (8, 8, 8), (4, 4, 4))
    case = write_case(tmp_path, r"cost $_$", image)
    view = look_at(segmenter_of(Pointing(), (8, 8, 8)), case, Tally())
    assert png(mechanism_figure("brightest", [view]))


def test_tokens_that_fill_no_map_are_left_out_and_windows_are_put_back():
    torch.manual_seed(0)
    net = find_preset("deploylite-xs").build(1, 2).eval()
    with Probe(net) as probe, torch.inference_mode():
        net(torch.randn(1, 1, 32, 32, 32))
    raw = probe._seen  # every call, before anything is placed
    placed = probe.take_placed((32, 32, 32))
    assert {item.module for item in placed} <= {item.module for item in raw}
    for item, maps in placed.items():
        assert item.module.endswith(".mixer")  # not the attention inside of its windows
        (values,) = maps.values()
        assert 32 % values.shape[0] == 0
        assert len(set(values.shape)) == 1
    assert placed


def test_a_case_of_one_slice_beside_others_is_drawn_in_the_planes_that_it_has(tmp_path):
    case = write_case(tmp_path, "a", np.random.default_rng(0).uniform(0, 1, (8, 8, 8)))
    view = look_at(segmenter_of(Pointing(), (8, 8, 8)), case, Tally())
    assert len(view.planes) > 1
    one = replace(view, name="thin", planes=view.planes[1:2])
    assert png(mechanism_figure("brightest", [view, one]))
    other = replace(view, name="other", planes=view.planes[:1])
    assert png(mechanism_figure("brightest", [one, other, view]))  # that have none in common
