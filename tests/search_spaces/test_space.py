import hashlib
import itertools
import json
from dataclasses import dataclass
from typing import ClassVar

import pytest

from search_spaces.space import (
    Architecture,
    ArchitectureError,
    Part,
    RandomTrial,
    SearchSpace,
    choice,
    knobs,
    path_pattern,
    repeat,
    sample,
    size,
    to_params,
)


@dataclass(frozen=True, kw_only=True)
class Room(Part):
    lamp: str = choice("none", "desk", "ceiling", doc="light")
    shade: str = choice("white", "red", doc="of the lamp", when={"lamp": ("desk", "ceiling")})


@dataclass(frozen=True, kw_only=True)
class House(Architecture):
    space: ClassVar[str] = "toy"

    roof: str = choice("flat", "gable", doc="roof")
    rooms_count: int = choice(1, 0, 2, doc="rooms")
    rooms: tuple[Room, ...] = repeat(Room, count="rooms_count", doc="rooms, from the door")
    share: float = choice(0.5, 1.0, doc="share of what is built")


SPACE = SearchSpace(name="toy", kind=House, presets=lambda: {"hut": House(rooms=(Room(),))})


def every_house():
    """All houses, enumerated by hand: 5 kinds of room, 0 to 2 of them, 2 roofs, 2 shares."""
    rooms = [Room()]
    rooms += [Room(lamp=la, shade=sh) for la in ("desk", "ceiling") for sh in ("white", "red")]
    for roof, share, count in itertools.product(("flat", "gable"), (0.5, 1.0), (0, 1, 2)):
        for chosen in itertools.product(rooms, repeat=count):
            yield House(roof=roof, share=share, rooms_count=count, rooms=chosen)


def test_size_counts_every_record_once():
    houses = list(every_house())
    assert len(houses) == 2 * 2 * (1 + 5 + 25)
    assert SPACE.size() == len(houses) == len(set(houses))


def test_size_of_a_restricted_space():
    inside = [
        house
        for house in every_house()
        if house.roof == "flat"
        and house.rooms_count in (1, 2)
        and all(room.lamp in ("none", "desk") for room in house.rooms)
    ]
    restrict = {"roof": ["flat"], "rooms_count": [1, 2], "rooms.lamp": ["none", "desk"]}
    assert SPACE.size(restrict) == len(inside) == 2 * (3 + 9)


def test_every_record_can_be_sampled_by_its_own_answers(trial):
    for house in every_house():
        answers = to_params(house)
        told = trial(answers=answers)
        assert sample(House, told) == house
        assert told.choices.keys() == answers.keys()


def test_a_part_is_asked_for_by_its_place(trial):
    recording = trial(answers={"rooms_count": 2, "rooms.0.lamp": "desk", "rooms.1.lamp": "none"})
    sample(House, recording)
    assert list(recording.choices) == [
        "roof",
        "rooms_count",
        "rooms.0.lamp",
        "rooms.0.shade",
        "rooms.1.lamp",
        "share",
    ]


def test_what_cannot_matter_is_not_asked_and_has_its_default(trial):
    recording = trial(answers={"rooms_count": 1, "rooms.0.lamp": "none"})
    house = sample(House, recording)
    assert "rooms.0.shade" not in recording.choices
    assert house.rooms[0].shade == "white"


def test_restrict_narrows_a_knob_at_every_position(trial):
    for seed in range(20):
        recording = trial(seed, {"rooms_count": 2})
        house = sample(House, recording, restrict={"rooms.lamp": ["ceiling"]})
        assert recording.choices["rooms.1.lamp"] == ("ceiling",)
        assert [room.lamp for room in house.rooms] == ["ceiling", "ceiling"]


def test_json_gives_the_same_record_back():
    for house in every_house():
        assert House.from_json(json.loads(json.dumps(house.to_json()))) == house


HUT = {
    "roof": "flat",
    "rooms_count": 1,
    "rooms": [{"lamp": "none", "shade": "white"}],
    "share": 0.5,
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"roof": "thatch"}, r"House\.roof = 'thatch'; expected one of \['flat', 'gable'\]"),
        ({"chimney": 1}, r"house\.chimney is unknown"),
        ({"rooms_count": 2}, r"House\.rooms has 1 entries; rooms_count says 2"),
        ({"rooms_count": True}, r"House\.rooms_count = True; expected one of \[1, 0, 2\]"),
        ({"rooms_count": 1.0}, r"House\.rooms_count = 1\.0"),
        ({"share": 1}, r"House\.share = 1; expected one of \[0\.5, 1\.0\]"),
        ({"rooms": [{"lamp": "none"}]}, r"house\.rooms\.0\.shade is missing"),
        ({"rooms": [{"lamp": "sun", "shade": "red"}]}, r"house\.rooms\.0: Room\.lamp = 'sun'"),
        ({"rooms": ["lamp"]}, r"house\.rooms\.0 is str; expected a mapping"),
        ({"rooms": 1}, r"house\.rooms is int; expected a list"),
        ({"rooms": None}, r"house\.rooms is NoneType; expected a list"),
    ],
)
def test_a_record_that_does_not_fit_is_refused_by_field(change, message):
    House.from_json(HUT, "house")
    with pytest.raises(ArchitectureError, match=message):
        House.from_json({**HUT, **change}, "house")


def test_a_missing_field_is_refused():
    with pytest.raises(ArchitectureError, match=r"house\.share is missing"):
        House.from_json({k: v for k, v in HUT.items() if k != "share"}, "house")


def test_a_record_made_in_code_is_checked_as_well():
    with pytest.raises(ArchitectureError, match=r"House\.roof = 'thatch'"):
        House(roof="thatch", rooms=(Room(),))


def test_the_key_is_the_hash_of_the_sorted_json():
    # Keys name checkpoints and studies on disk: this formula must never change.
    text = (
        '{"roof": "flat", "rooms": [{"lamp": "none", "shade": "white"}], "rooms_count": 1, '
        '"share": 0.5, "space": "toy"}'
    )
    assert House.from_json(HUT).key == hashlib.sha256(text.encode()).hexdigest()[:10]


def test_different_records_have_different_keys():
    assert len({house.key for house in every_house()}) == SPACE.size()


def test_knobs_are_listed_once_without_positions():
    assert [knob.name for knob in SPACE.knobs()] == [
        "roof",
        "rooms_count",
        "rooms.lamp",
        "rooms.shade",
        "share",
    ]
    assert knobs(House)[2].options == ("none", "desk", "ceiling")


def test_a_knob_is_a_path_without_positions():
    assert path_pattern("tokens.0.layers.11.gate") == "tokens.layers.gate"


def test_size_without_a_restriction_agrees_with_the_function():
    assert SPACE.size() == size(House)


# A trial without a study


def test_a_random_trial_gives_the_answers_that_are_among_the_choices():
    trial = RandomTrial(0, {"a": 2, "b": 9})
    assert trial.suggest_categorical("a", (1, 2, 3)) == 2
    assert trial.suggest_categorical("b", (1,)) == 1
    assert trial.choices == {"a": (1, 2, 3), "b": (1,)}


def test_a_random_trial_is_the_same_again_for_its_seed():
    def answers(seed):
        trial = RandomTrial(seed)
        return [trial.suggest_categorical(str(i), range(100)) for i in range(10)]

    assert answers(1) == answers(1) != answers(2)


def test_a_question_asked_twice_is_refused():
    trial = RandomTrial()
    trial.suggest_categorical("a", (1, 2))
    with pytest.raises(ValueError, match="a is asked twice"):
        trial.suggest_categorical("a", (1, 2))
