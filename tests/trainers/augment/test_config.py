import pytest
from pydantic import ValidationError

from trainers.augment.config import LIMITS, Augment
from trainers.augment.intensity import DRAWS
from trainers.augment.presets import INTENSITY, NEVER, NNUNET, Chance
from trainers.config import RetrainConfig, TrainConfig
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


def test_changes_take_the_place_of_the_presets_own():
    told = {
        "preset": "nnunet",
        "changes": {"blur": None, "scaling": {"probability": 1, "range": [0.9, 1.1]}},
    }
    found = augment(told)
    drawn = found.drawn()
    assert drawn.intensity["blur"] == NEVER
    assert drawn.scaling == Chance(1, 0.9, 1.1)
    kept = [kind for kind in NNUNET.intensity if kind != "blur"]
    assert [drawn.intensity[kind] for kind in kept] == [NNUNET.intensity[kind] for kind in kept]
    assert (drawn.rotation, drawn.in_plane) == (NNUNET.rotation, NNUNET.in_plane)
    assert augment(found.model_dump(mode="json")) == found


def test_without_changes_a_preset_is_itself():
    assert augment("nnunet").drawn() == NNUNET
    assert list(augment("nnunet").drawn().intensity) == list(NNUNET.intensity)


def test_basic_has_what_changes_name():
    rotation = {"probability": 0.2, "range": [-30, 30]}
    gamma = {"probability": 0.3, "range": [0.7, 1.5]}
    found = augment({"noise": 0.1, "changes": {"gamma": gamma, "rotation": rotation}})
    drawn = found.drawn()
    assert drawn.rotation == drawn.in_plane == Chance(0.2, -30, 30)  # thick slices turn too
    assert drawn.intensity == {"gamma": Chance(0.3, 0.7, 1.5)}
    assert (found.noise, found.scale) == (0.1, 0.1)
    assert augment(found.model_dump(mode="json")) == found


def test_every_kind_has_its_limits():
    assert set(LIMITS) == {"rotation", "in_plane", "scaling", *DRAWS}
    assert set(INTENSITY) == set(DRAWS)


@pytest.mark.parametrize(
    ("kind", "bounds", "message"),
    [
        ("rotation", [-200, 30], "from -180 to 180"),
        ("rotation", [30, -30], "the smaller first"),
        ("scaling", [0, 1], "from 0.1 to 10"),
        ("blur", [0, 1], "from 0.1 to 10"),
        ("gamma", [1.1, 1.5], "that has 1"),
        ("low_resolution", [0.5, 1.5], "from 0.05 to 1"),
    ],
)
def test_a_strength_that_cannot_be_is_refused(kind, bounds, message):
    with pytest.raises(ValidationError, match=rf"changes.{kind}.range is .*{message}"):
        augment({"changes": {kind: {"probability": 0.5, "range": bounds}}})


def test_another_kind_is_refused():
    with pytest.raises(ValidationError, match="elastic"):
        augment({"changes": {"elastic": {"probability": 0.5, "range": [0, 1]}}})
