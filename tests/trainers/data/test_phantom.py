import nibabel as nib
import numpy as np
import pytest

from trainers.data.check import check_dataset
from trainers.data.msd import read_msd
from trainers.data.phantom import make_case, make_phantom
from trainers.data.phantom_source import PhantomData

SMALL = PhantomData(cases=3, shape=(24, 28, 20), organs=6)


def case(config, seed=0):
    return make_case(config, np.random.default_rng(seed))


def test_a_phantom_is_a_data_set_that_passes_the_check(tmp_path):
    dataset = read_msd(make_phantom(SMALL, tmp_path))
    check_dataset(dataset)
    assert len(dataset.cases) == 3
    assert dataset.classes[:3] == ("background", "liver", "aorta")
    assert len(dataset.classes) == 7
    volume = nib.load(dataset.cases[0].image)
    assert volume.shape == (24, 28, 20)
    np.testing.assert_allclose(volume.header.get_zooms(), (1.5, 1.5, 1.5))


def test_the_same_seed_writes_the_same_files(tmp_path):
    folders = make_phantom(SMALL, tmp_path / "a"), make_phantom(SMALL, tmp_path / "b")
    files = [sorted(f for f in folder.rglob("*") if f.is_file()) for folder in folders]
    assert len(files[0]) == 7
    for one, other in zip(*files, strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_cases_and_seeds_differ(tmp_path):
    first = make_phantom(SMALL, tmp_path / "a")
    second = make_phantom(SMALL.model_copy(update={"seed": 1}), tmp_path / "b")
    volumes = [
        (folder / "labelsTr" / f"phantom_00{number}.nii.gz").read_bytes()
        for folder in (first, second)
        for number in (1, 2, 3)
    ]
    assert len(set(volumes)) == 6


@pytest.mark.parametrize("organs", [3, 4, 5, 6])
def test_every_organ_is_in_every_case(organs):
    config = PhantomData(organs=organs)
    for seed in range(5):
        assert set(np.unique(case(config, seed)[1])) == set(range(organs + 1))


def test_organs_are_in_anatomical_order():
    """RAS: the liver on the right, the kidney on the left and below the spleen."""
    for seed in range(5):
        label = case(PhantomData(organs=6), seed)[1]
        liver, aorta, _, kidney, spleen, _ = (
            np.argwhere(label == index).mean(axis=0) for index in range(1, 7)
        )
        assert liver[0] > aorta[0] > kidney[0]
        assert kidney[2] < spleen[2]


def test_tissues_have_the_hounsfield_units_of_ct():
    image, label = case(PhantomData(noise=0))
    assert image.dtype == np.int16
    assert image[0, 0].mean() < -950  # air
    assert 80 < image[label == 1].mean() < 140  # liver
    assert image[label == 2].mean() > 150  # aorta
    assert image.max() > 350  # bone


def test_the_adrenal_is_small_and_hardly_stands_out():
    image, label = case(PhantomData(noise=0))
    gland = label == 3
    around = np.zeros_like(gland)
    around[tuple(slice(i.min() - 3, i.max() + 4) for i in np.nonzero(gland))] = True
    contrast = abs(np.median(image[gland]) - np.median(image[around & (label == 0)]))
    assert gland.sum() < 0.1 * (label == 1).sum()
    assert contrast < 60


def test_noise_is_as_strong_as_asked_for():
    quiet, loud = case(PhantomData(noise=0))[0], case(PhantomData(noise=40))[0]
    inside = quiet > -200
    assert 38 < np.std((loud.astype(float) - quiet)[inside]) < 42
