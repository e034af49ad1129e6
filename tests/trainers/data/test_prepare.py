import os
import warnings
from pathlib import Path

import pytest

from trainers.data import phantom
from trainers.data.build_cache import build_cache
from trainers.data.check import check_dataset
from trainers.data.config import Groups, Preprocess, Split
from trainers.data.msd import MsdData, read_msd
from trainers.data.phantom_source import PhantomData
from trainers.data.prepare import prepare_data
from trainers.errors import UserError

PHANTOM = PhantomData(cases=4, shape=(20, 20, 20), split=Split(validation=0.25))


def test_a_phantom_is_made_cached_and_split(tmp_path):
    steps = []
    cache, cases = prepare_data(PHANTOM, tmp_path, lambda *step: steps.append(step))
    assert (len(cases.train), len(cases.validation), cases.test) == (3, 1, ())
    assert set(cases.train + cases.validation) == set(cache.names)
    assert cache.image(cases.train[0]).shape == (1, 20, 20, 20)
    assert 0 <= cache.image(cases.train[0]).min() < cache.image(cases.train[0]).max() <= 1
    assert steps[3:5] == [(4, 4, "checked"), (1, 4, "prepared")]


def test_a_second_run_makes_nothing_again(tmp_path, monkeypatch):
    first, _ = prepare_data(PHANTOM, tmp_path)
    monkeypatch.setattr(phantom, "make_phantom", lambda *_: pytest.fail("made again"))
    second, _ = prepare_data(PHANTOM, tmp_path, lambda *_: pytest.fail("read again"))
    assert first.folder == second.folder


def test_another_split_needs_no_other_phantom(tmp_path):
    first, one = prepare_data(PHANTOM, tmp_path)
    other = PHANTOM.model_copy(update={"split": Split(validation=0.5)})
    second, two = prepare_data(other, tmp_path)
    assert first.folder == second.folder
    assert len(one.train) > len(two.train)


def test_another_phantom_is_another_data_set(tmp_path):
    first, _ = prepare_data(PHANTOM, tmp_path)
    second, _ = prepare_data(PHANTOM.model_copy(update={"seed": 1}), tmp_path)
    assert first.folder != second.folder


def test_the_cache_goes_where_the_config_says(msd, tmp_path):
    config = MsdData(path=msd, cache=tmp_path / "elsewhere")
    cache, _ = prepare_data(config, tmp_path / "work")
    assert cache.folder.parent == tmp_path / "elsewhere"
    assert not (tmp_path / "work").exists()


def test_a_split_that_cannot_be_is_refused_before_anything_is_read(msd, tmp_path):
    config = MsdData(path=msd, split=Split(groups=Groups(pattern="(x)")))
    with pytest.raises(UserError, match="does not match"):
        prepare_data(config, tmp_path, lambda *_: pytest.fail("read"))


HIPPOCAMPUS = Path(
    os.environ.get("SEGNAS_HIPPOCAMPUS")
    or Path(__file__).parents[3] / ".." / "shared" / "data" / "Task04_Hippocampus"
)


@pytest.mark.slow
@pytest.mark.skipif(not HIPPOCAMPUS.is_dir(), reason="set SEGNAS_HIPPOCAMPUS to the data set")
def test_the_hippocampus_data_pass_the_check_and_can_be_cached(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dataset = read_msd(HIPPOCAMPUS)
        check_dataset(dataset)
    assert len(dataset.cases) == 200
    assert dataset.classes == ("background", "Anterior", "Posterior")
    cache = build_cache(dataset, Preprocess(spacing="native", crop="none"), tmp_path)
    assert all(len(cache.foreground(name)) == 2 for name in cache.names)
