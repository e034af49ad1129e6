from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from trainers.data.config import RECORDED, Groups, Preprocess, Split
from trainers.data.msd import MsdData
from trainers.data.phantom_source import PhantomData
from trainers.data.registry import DataConfig

adapter: TypeAdapter[MsdData | PhantomData] = TypeAdapter(DataConfig)


def test_the_source_decides_which_keys_there_are():
    assert isinstance(adapter.validate_python({"source": "phantom", "cases": 4}), PhantomData)
    with pytest.raises(ValidationError, match="path"):
        adapter.validate_python({"source": "msd"})
    with pytest.raises(ValidationError, match="cases"):
        adapter.validate_python({"source": "msd", "path": "x", "cases": 4})


def test_a_split_is_shares_or_a_file():
    assert MsdData.model_validate({"path": "x", "split": "s.json"}).split == Path("s.json")
    shares = MsdData.model_validate({"path": "x", "split": {"validation": 0.5}}).split
    assert shares == Split(validation=0.5)


def test_an_error_in_shares_does_not_speak_of_files():
    with pytest.raises(ValidationError) as caught:
        MsdData.model_validate({"path": "x", "split": {"validation": 2}})
    assert [error["loc"] for error in caught.value.errors()] == [("split", "shares", "validation")]


def test_ct_has_a_soft_tissue_window_unless_told_otherwise():
    assert Preprocess(intensity="ct").window == (-175, 250)
    assert Preprocess(intensity="ct", window=(0, 80)).window == (0, 80)
    assert Preprocess().window is None


def test_a_config_survives_its_own_json():
    config = PhantomData(preprocess=Preprocess(intensity="ct", spacing=(1, 2, 3)))
    assert adapter.validate_json(config.model_dump_json()) == config


@pytest.mark.parametrize(
    "wrong",
    [
        {"window": (-100, 100)},
        {"intensity": "ct", "window": (100, -100)},
        {"intensity": "ct", "window": None},
        {"intensity": "ct", "range": (1, -1)},
        {"intensity": "zscore", "range": (-1, 1)},
        {"intensity": {"CT": "ct"}, "range": (-1, 1)},
        {"orientation": "RAR"},
        {"orientation": "RA"},
        {"spacing": (1, 0, 1)},
    ],
)
def test_preprocessing_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValidationError):
        Preprocess(**wrong)


@pytest.mark.parametrize("pattern", ["case_", r"(\d+)_(\d+)", "("])
def test_a_group_pattern_captures_once(pattern):
    with pytest.raises(ValidationError):
        Groups(pattern=pattern)


def test_some_cases_are_left_for_training():
    with pytest.raises(ValidationError, match="less than 1"):
        Split(validation=0.5, test=0.5)


class TestResampling:
    def test_new_configurations_resample_by_axis_and_say_so(self):
        assert Preprocess().resampling == "by_axis"
        assert Preprocess().model_dump()["resampling"] == "by_axis"

    def test_records_that_do_not_say_it_are_of_trilinear_networks(self):
        old = Preprocess.model_validate({"spacing": "median"}, context=RECORDED)
        assert old.resampling == "trilinear"
        assert "resampling" not in old.model_dump()
        nested = {"source": "msd", "path": "x", "preprocess": {}}
        assert adapter.validate_python(nested, context=RECORDED).preprocess == old

    @pytest.mark.parametrize("rule", ["by_axis", "trilinear"])
    @pytest.mark.parametrize("spacing", ["native", "median", (1, 1, 5)])
    def test_a_record_is_read_as_it_was_written(self, rule, spacing):
        written = Preprocess(resampling=rule, spacing=spacing)
        assert Preprocess.model_validate(written.model_dump(), context=RECORDED) == written

    def test_of_native_volumes_nothing_is_said(self):
        assert "resampling" not in Preprocess(spacing="native").model_dump()


def test_a_range_is_written_where_there_is_one_alone():
    """So that prepared volumes of before are found again."""
    assert "range" not in Preprocess(intensity="ct").model_dump()
    ranged = Preprocess(intensity={"CT": {"kind": "ct", "range": (-1, 1)}})
    assert ranged.model_dump()["intensity"]["CT"] == {
        "kind": "ct",
        "window": (-175, 250),
        "range": (-1, 1),
    }
    assert Preprocess.model_validate_json(ranged.model_dump_json()) == ranged
    [how] = ranged.of_channels(["CT"]).intensities
    assert how.range == how.bounds == (-1, 1)
