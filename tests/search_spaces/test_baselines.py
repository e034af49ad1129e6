import pytest
import torch
from monai.networks.nets import UNETR

from nas.cost.count import cost_of
from search_spaces.baselines import SPACE, Baseline
from search_spaces.networks.baselines import SizedUNETR
from search_spaces.networks.mobile_unet import MobileNetV2

PRESETS = SPACE.presets()


@pytest.mark.parametrize(
    ("name", "classes", "millions", "source"),
    [
        ("unetr-f32", 4, 101.79, "SlimFormer-3D, Table 2"),
        ("unetr", 14, 92.8, "3D UX-Net (Lee 2023), Table 1"),
        ("swin-unetr", 14, 62.2, "3D UX-Net (Lee 2023), Table 1"),
        ("uxnet", 14, 53.0, "3D UX-Net (Lee 2023), Table 1"),
    ],
)
def test_published_parameters(name, classes, millions, source):
    digits = len(str(millions).partition(".")[2])
    params = cost_of(PRESETS[name], 1, classes, (96, 96, 96)).params
    assert round(params / 1e6, digits) == millions, source


def test_segformer3d_is_that_of_its_released_code():
    """Published: 4.51 M and 17.5 G of 4 x 128^3 in three classes (Perera 2024, Table 1). By hand
    the released code has 4,525,251 parameters, of which 8,192 are batch norms in the MLPs and 2,048
    layer norms in the decoder that its comments call added. Its multiply-accumulates, 12.691 G of
    convolutions and linear layers and 2.856 G of attention, are not the published number."""
    cost = cost_of(PRESETS["segformer3d"], 4, 3, (128, 128, 128))
    assert cost.params == 4_525_251
    assert cost.params == pytest.approx(4.51e6, rel=0.005)
    assert cost.macs == pytest.approx(15.547e9, rel=1e-4)


def test_the_mobile_encoder_has_the_parameters_of_mobilenetv2():
    """In the plane, for three channels: 3,504,872 published (Sandler 2018, Table 4: 3.4 M without
    some) less the last 1^2 convolution with its norm and the classifier."""
    last, classifier = 320 * 1280 + 2 * 1280, 1280 * 1000 + 1000
    encoder = MobileNetV2(2, 3, width=16)
    assert sum(p.numel() for p in encoder.parameters()) == 3_504_872 - last - classifier
    assert encoder.channels == [16, 24, 32, 96, 320]


def test_unetr_attention_is_counted():
    # 230.8 GMACs: thop's half of the published 528.64 G, transposed convolutions and attention set
    # right.
    cost = cost_of(PRESETS["unetr-f32"], 1, 4, (96, 96, 96))
    assert cost.macs == pytest.approx(230.8e9, rel=0.005)


def test_swin_unetr_is_counted_without_being_built_in_memory():
    with torch.device("meta"):
        network = PRESETS["swin-unetr-s"].build(1, 2)
    assert all(p.is_meta for p in network.parameters())


def test_unetr_at_the_reference_size_is_monais():
    torch.manual_seed(0)
    sized = SizedUNETR(1, 2, width=1, hidden=64).eval()
    plain = UNETR(
        1, 2, (96, 96, 96), feature_size=1, hidden_size=64, mlp_dim=256, num_heads=1
    ).eval()
    missing = plain.load_state_dict(sized.state_dict(), strict=False).missing_keys
    assert all("norm_cross_attn" in name for name in missing)
    x = torch.randn(1, 1, 96, 96, 96)
    with torch.inference_mode():
        torch.testing.assert_close(sized(x), plain(x))


def test_unetr_learns_positions_at_every_size():
    network = Baseline(kind="unetr", width=8, hidden=192).build(1, 2)
    logits = network(torch.randn(1, 1, 32, 48, 16))
    assert logits.shape == (1, 2, 32, 48, 16)
    logits.square().mean().backward()
    gradient = network.network.vit.patch_embedding.position_embeddings.grad
    assert gradient is not None
    assert gradient.abs().sum() > 0


@pytest.mark.parametrize(
    ("choices", "stride"),
    [
        ({"levels": 3}, 4),
        ({"levels": 5}, 16),
        ({"kind": "segresnet"}, 8),
        ({"kind": "unetr"}, 16),
        ({"kind": "swin-unetr"}, 32),
        ({"kind": "uxnet"}, 16),
        ({"kind": "segformer3d"}, 32),
        ({"kind": "mobile-unet"}, 32),
    ],
)
def test_a_size_off_the_stride_is_refused_by_naming_the_stride(choices, stride):
    point = Baseline(**choices)
    assert point.stride() == stride
    with torch.device("meta"):
        network = point.build(1, 2)
    for axis in range(3):
        size = [2 * stride] * 3
        size[axis] += stride // 2
        with pytest.raises(ValueError, match=rf"multiple of the network's stride, {stride}$"):
            network(torch.empty(1, 1, *size, device="meta"))


def test_choices_of_other_networks_do_not_matter():
    assert Baseline(kind="unetr", levels=3, swin_width=48).key == Baseline(kind="unetr").key
    assert Baseline(kind="segresnet", hidden=192).key == Baseline(kind="segresnet").key
    assert Baseline(levels=3).key != Baseline().key


@pytest.mark.parametrize("name", ["unet-s", "segresnet-s"])
def test_small_presets_take_hippocampus_crops(name):
    network = PRESETS[name].build(1, 3)
    assert network(torch.zeros(1, 1, 40, 56, 40)).shape == (1, 3, 40, 56, 40)
