"""Each modality normalised in its own way, from the configuration to the network's input."""

import nibabel as nib
import numpy as np
import pytest
from torch import nn

from nas.config.run_config import RunConfig
from nas.config.yaml_file import read_config, write_config
from trainers.config import TrainConfig
from trainers.data.build_cache import build_cache
from trainers.data.config import Preprocess
from trainers.data.msd import MsdData, read_msd
from trainers.data.prepare import prepare_data
from trainers.data.task import Task
from trainers.errors import UserError
from trainers.segmenter import Segmenter, SegmenterSpec
from trainers.volumes.intensity import normalise
from trainers.volumes.settings import Clahe, Intensity, NonLocalMeans

from .volumes import SHAPE, robust, settings_of, write_msd

MIXED = Preprocess(
    spacing="native",
    crop="none",
    intensity={"PET": "robust", "CT": {"kind": "ct", "window": (-50, 150)}},
)


@pytest.fixture
def pet_ct(tmp_path):
    """CT is the first channel, PET the second."""
    return write_msd(tmp_path / "data", ["a", "b", "c", "d"], ("CT", "PET"))


def read(tmp_path, preprocess: str):
    (tmp_path / "my.yaml").write_text(
        f"name: my\ndata: {{source: msd, path: data, preprocess: {preprocess}}}\n"
        "train: {patch: [16, 16, 16], epochs: 1, steps_per_epoch: 1}\n"
    )
    return read_config(RunConfig, tmp_path / "my.yaml")


def test_every_channel_is_normalised_as_its_modality_says(pet_ct, tmp_path):
    cache = build_cache(read_msd(pet_ct), MIXED, tmp_path)
    ct, pet = np.moveaxis(nib.load(pet_ct / "imagesTr" / "b.nii.gz").get_fdata(), -1, 0)
    np.testing.assert_allclose(cache.image("b")[0], np.clip((ct + 50) / 200, 0, 1), atol=1e-5)
    expected = robust(pet.astype(np.float32))
    np.testing.assert_allclose(cache.image("b")[1], expected, atol=1e-5)


def test_a_trained_network_reads_its_channels_as_they_were_prepared(pet_ct, tmp_path):
    cache = build_cache(read_msd(pet_ct), MIXED, tmp_path)
    task = Task.of(cache, TrainConfig(patch=SHAPE))
    assert task.modalities == ("CT", "PET")
    spec = SegmenterSpec(task=task, preprocess=MIXED, overlap=0.25)
    again = SegmenterSpec.model_validate_json(spec.model_dump_json())
    seen = Segmenter(network=nn.Identity(), spec=again).prepare(pet_ct / "imagesTr" / "b.nii.gz")
    np.testing.assert_array_equal(seen.image, cache.image("b"))


def test_a_task_knows_from_where_hounsfield_units_were_learnt(pet_ct, tmp_path):
    """Those of the median case; of the other channel they are none."""
    plain = Task.of(build_cache(read_msd(pet_ct), MIXED, tmp_path), TrainConfig(patch=SHAPE))
    assert plain.lowest == () and "lowest" not in plain.to_json()
    for name, lowest in (("a", -1000), ("b", -1010), ("c", -3024), ("d", -1020)):
        file = pet_ct / "imagesTr" / f"{name}.nii.gz"
        values = np.asarray(nib.load(file).dataobj)
        values[0, 0, :2, 0] = lowest, 1500
        nib.save(nib.Nifti1Image(values, np.eye(4)), file)
    task = Task.of(build_cache(read_msd(pet_ct), MIXED, tmp_path), TrainConfig(patch=SHAPE))
    assert task.lowest == (-1015.0, None)
    assert Task.model_validate_json(task.to_json()) == task


def test_ct_in_one_word_has_the_window_of_soft_tissue():
    (ct,) = Preprocess(intensity={"CT": "ct"}).of_channels(["CT"]).intensities
    assert ct.window == (-175, 250)


def test_one_word_for_all_is_what_it_was():
    plain = Preprocess(intensity="ct", window=(0, 80))
    assert plain.of_channels(["CT", "PET"]).intensities == (Intensity("ct", (0, 80)),)
    both = Preprocess(intensity={"a": "zscore", "b": "zscore"}).of_channels(["a", "b"])
    image = np.random.default_rng(0).normal(5, 2, (2, 6, 7, 8)).astype(np.float32)
    expected = normalise(image, settings_of(intensity="zscore"))
    np.testing.assert_array_equal(normalise(image, both), expected)


@pytest.mark.parametrize(
    ("intensity", "told"),
    [
        ({"CT": "ct", "PTE": "robust"}, "intensity.PTE is no modality; there are: CT, PET"),
        ({"CT": "ct"}, "intensity says nothing of PET; expected a word"),
    ],
)
def test_modalities_are_those_of_the_data(pet_ct, tmp_path, intensity, told):
    data = MsdData(path=pet_ct, preprocess=Preprocess(intensity=intensity))
    with pytest.raises(UserError, match=told):
        prepare_data(data, tmp_path)


@pytest.mark.parametrize(
    ("preprocess", "told"),
    [
        ("{intensity: hu}", "data.preprocess.intensity = 'hu': Input should be 'robust'"),
        ("{intensity: {CT: hu}}", "data.preprocess.intensity.CT = 'hu': Input should be 'robust'"),
        ("{intensity: {CT: {kind: ct, window: [3, 1]}}}", "intensity.CT: window = (3.0, 1.0); exp"),
        ("{intensity: {CT: {kind: robust, window: [1, 3]}}}", "intensity.CT: window belongs to"),
        ("{intensity: {CT: {window: [1, 3]}}}", "data.preprocess.intensity.CT.kind is missing"),
        (
            "{intensity: {CT: {kind: ct, windw: [1, 3]}}}",
            "data.preprocess.intensity.CT.windw is not a key of `data.preprocess.intensity.CT`. "
            "Did you mean window?",
        ),
        ("{intensity: {CT: ct}, window: [1, 3]}", "give it to its modality"),
        ("{intensity: {CT: ct}, clahe: {}}", "clahe stands beside an intensity by modality"),
        ("{clahe: {}}", "clahe needs values with bounds, those of `intensity: ct` and"),
        ("{intensity: {CT: {kind: zscore, clahe: {}}}}", "those of `kind: ct` and `percentiles`"),
        ("{intensity: ct, clahe: {clip_limit: 2}}", "data.preprocess.clahe.clip_limit = 2"),
        ("{denoise: {sigma: 2}}", "data.preprocess.denoise.sigma is not a key"),
        ("{intensity: ct, window: {level: 40}}", "expected [low, high] or {level: 40, width: 400}"),
        ("{intensity: {}}", "data.preprocess.intensity: "),
    ],
)
def test_an_error_speaks_of_the_modality_that_was_meant(tmp_path, preprocess, told):
    with pytest.raises(UserError) as error:
        read(tmp_path, preprocess)
    assert told in str(error.value)


def test_a_record_keeps_what_was_written(tmp_path):
    config = read(tmp_path, "{intensity: {PET: robust, CT: {kind: ct, window: [-50, 150]}}}")
    write_config(config, tmp_path / "config.yaml")
    assert read_config(RunConfig, tmp_path / "config.yaml", recorded=True) == config


def test_a_window_may_be_told_as_level_and_width():
    told = Preprocess(intensity="ct", window={"level": 40, "width": 400})
    assert told == Preprocess(intensity="ct", window=(-160, 240))
    modality = {"kind": "ct", "window": {"level": 600, "width": 2800.0}}
    (ct,) = Preprocess(intensity={"CT": modality}).of_channels(["CT"]).intensities
    assert ct.window == (-800, 2000)


def test_filters_are_written_where_there_are_any_and_read_again():
    plain, filtered = Preprocess(), Preprocess(intensity="percentiles", clahe={}, denoise={})
    assert not {"clahe", "denoise"} & plain.model_dump().keys()
    assert Preprocess.model_validate_json(filtered.model_dump_json()) == filtered
    (found,) = filtered.of_channels(["MR"]).intensities
    assert found.clahe == Clahe(clip_limit=0.01, tiles=8)
    assert found.denoise == NonLocalMeans(strength=0.8, patch=3, distance=2)
    by_modality = {"CT": {"kind": "ct", "clahe": {"tiles": 4}}, "PET": "robust"}
    ct, pet = Preprocess(intensity=by_modality).of_channels(["CT", "PET"]).intensities
    assert (ct.clahe, pet.clahe) == (Clahe(clip_limit=0.01, tiles=4), None)


def test_a_network_is_trained_and_used_with_the_same_filters(pet_ct, tmp_path):
    pytest.importorskip("skimage")
    filters = {"clahe": {"tiles": 2}, "denoise": {"distance": 1}}
    plain = Preprocess(spacing="native", crop="none", intensity="percentiles")
    preprocess = Preprocess.model_validate({**plain.model_dump(), **filters})
    cache = build_cache(read_msd(pet_ct), preprocess, tmp_path)
    spec = SegmenterSpec(
        task=Task.of(cache, TrainConfig(patch=SHAPE)), preprocess=preprocess, overlap=0.25
    )
    seen = Segmenter(network=nn.Identity(), spec=spec).prepare(pet_ct / "imagesTr" / "b.nii.gz")
    np.testing.assert_array_equal(seen.image, cache.image("b"))
    assert (
        np.abs(seen.image - build_cache(read_msd(pet_ct), plain, tmp_path).image("b")).max() > 0.1
    )
