import pytest
from pydantic import ValidationError

from trainers.config import Augment, RetrainConfig, TrainConfig
from trainers.data.config import RECORDED

PATCH = {"patch": (32, 32, 32)}
TODAY = {"shift": 2, "scale": 0.1, "offset": 0.1, "noise": 0.0, "flips": ()}


def augment(value):
    return TrainConfig.model_validate({**PATCH, "augment": value}).augment


def test_basic_is_the_default_and_recorded_as_ever():
    assert TrainConfig(**PATCH).augment == augment("basic") == Augment()
    assert Augment().preset == "basic"
    assert Augment().model_dump() == TODAY


def test_recorded_settings_are_basic():
    values = {**PATCH, "augment": {**TODAY, "scale": 0.3}}
    found = TrainConfig.model_validate(values, context=RECORDED).augment
    assert (found.preset, found.scale) == ("basic", 0.3)


@pytest.mark.parametrize(
    ("told", "preset", "flips"),
    [
        ("light", "light", ()),
        ("nnunet", "nnunet", (0, 1, 2)),
        ({"preset": "light", "flips": [0]}, "light", (0,)),
        ({"preset": "nnunet", "flips": []}, "nnunet", ()),
        ({"preset": "nnunet", "shift": 0}, "nnunet", (0, 1, 2)),
    ],
)
def test_a_preset_is_a_word_or_a_key(told, preset, flips):
    found = augment(told)
    assert (found.preset, found.flips) == (preset, flips)
    assert (found.scale, found.offset, found.noise) == (0, 0, 0)
    assert found.model_dump() == {"preset": preset, "shift": found.shift, "flips": flips}
    assert augment(found.model_dump(mode="json")) == found


@pytest.mark.parametrize("key", ["scale", "offset", "noise"])
def test_what_basic_alone_has_is_refused_beside_another(key):
    with pytest.raises(ValidationError, match=f"{key} stands beside preset: light"):
        augment({"preset": "light", key: 0.2})


@pytest.mark.parametrize("value", ["heavy", 3, ["nnunet"], {"preset": ["light"]}, None])
def test_what_is_no_preset_is_refused(value):
    with pytest.raises(ValidationError):
        augment(value)


def test_mirrored_inference_needs_mirrors_of_the_preset():
    assert RetrainConfig(**PATCH, augment="nnunet", mirror=(0, 2)).mirror == (0, 2)
    with pytest.raises(ValidationError, match=r"mirror has axis 0, augment.flips has \[\]"):
        RetrainConfig(**PATCH, augment="light", mirror=(0,))
    with pytest.raises(ValidationError, match=r"mirror has axis 2, augment.flips has \[0\]"):
        RetrainConfig(**PATCH, augment={"preset": "nnunet", "flips": [0]}, mirror=(2,))
