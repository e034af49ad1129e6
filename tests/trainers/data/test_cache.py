import errno
import os
import pickle
import threading

import filelock
import numpy as np
import pytest

from trainers.data import build_cache as cache_module
from trainers.data import prepare_case
from trainers.data.build_cache import build_cache
from trainers.data.cache import VolumeCache
from trainers.data.config import Preprocess
from trainers.data.msd import read_msd
from trainers.errors import UserError

from .volumes import SHAPE, ball, robust, write_msd, write_nifti

NATIVE = Preprocess(spacing="native", crop="none")


@pytest.fixture
def reads(monkeypatch) -> list[str]:
    """Names of the image files that were prepared."""
    names: list[str] = []
    prepare = prepare_case.prepare_image

    def noted(path, *rest):
        names.append(path.name)
        return prepare(path, *rest)

    monkeypatch.setattr(prepare_case, "prepare_image", noted)
    return names


def test_volumes_come_out_as_they_went_in(msd, tmp_path):
    cache = build_cache(read_msd(msd), NATIVE, tmp_path / "cache")
    assert (cache.names, cache.channels, cache.spacing) == (("a", "b", "c"), 1, None)
    assert cache.classes == ("background", "low", "high")
    for name in cache.names:
        assert cache.image(name).shape == (1, *SHAPE)
        assert cache.image(name).dtype == np.float32
        np.testing.assert_array_equal(cache.label(name), ball(SHAPE))
    assert not np.array_equal(cache.image("a"), cache.image("b"))


def test_volumes_of_different_sizes_do_not_run_into_each_other(msd, tmp_path):
    values = np.random.default_rng(1).normal(size=(5, 6, 7)).astype(np.float32)
    write_nifti(msd / "imagesTr" / "b.nii.gz", values)
    write_nifti(msd / "labelsTr" / "b.nii.gz", ball((5, 6, 7)))
    cache = build_cache(read_msd(msd), NATIVE, tmp_path)
    expected = robust(values)
    np.testing.assert_allclose(cache.image("b")[0], expected, atol=1e-5)
    np.testing.assert_array_equal(cache.label("c"), ball(SHAPE))


def test_several_modalities_become_channels(tmp_path):
    dataset = read_msd(write_msd(tmp_path / "data", ["a", "b"], ("T1", "T2", "FLAIR")))
    cache = build_cache(dataset, NATIVE, tmp_path / "cache")
    assert cache.channels == 3
    assert cache.image("b").shape == (3, *SHAPE)


def test_arrays_cannot_be_written(msd, tmp_path):
    cache = build_cache(read_msd(msd), NATIVE, tmp_path)
    with pytest.raises(ValueError, match="read-only"):
        cache.image("a")[:] = 0


def test_foreground_points_at_each_class(msd, tmp_path):
    cache = build_cache(read_msd(msd), NATIVE, tmp_path)
    label = cache.label("b").ravel()
    for index, voxels in enumerate(cache.foreground("b"), start=1):
        np.testing.assert_array_equal(voxels, np.flatnonzero(label == index))


def test_a_class_that_a_case_lacks_is_left_out_of_its_foreground(msd, tmp_path):
    write_nifti(msd / "labelsTr" / "a.nii.gz", (2 * (ball(SHAPE) == 2)).astype(np.uint8))
    cache = build_cache(read_msd(msd), NATIVE, tmp_path)
    (voxels,) = cache.foreground("a")
    assert set(cache.label("a").ravel()[voxels]) == {2}


def test_foreground_of_a_large_organ_is_a_sample(msd, tmp_path, monkeypatch):
    monkeypatch.setattr(prepare_case, "FOREGROUND_PER_CLASS", 20)
    cache = build_cache(read_msd(msd), NATIVE, tmp_path)
    low, high = cache.foreground("c")
    assert len(set(low)) == len(set(high)) == 20
    assert set(cache.label("c").ravel()[low]) == {1}


def test_unchanged_data_are_not_read_again(msd, tmp_path, reads):
    first = build_cache(read_msd(msd), NATIVE, tmp_path)
    assert len(reads) == 3
    steps = []
    again = build_cache(read_msd(msd), NATIVE, tmp_path, lambda *step: steps.append(step))
    assert (len(reads), steps, again.folder) == (3, [], first.folder)


def test_a_changed_file_is_noticed(msd, tmp_path, reads):
    first = build_cache(read_msd(msd), NATIVE, tmp_path)
    file = msd / "labelsTr" / "b.nii.gz"
    status = file.stat()
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert build_cache(read_msd(msd), NATIVE, tmp_path).folder != first.folder
    assert len(reads) == 6


def test_changed_settings_are_noticed_and_the_old_cache_is_kept(msd, tmp_path, reads):
    first = build_cache(read_msd(msd), NATIVE, tmp_path)
    other = Preprocess(spacing="native", crop="none", orientation="LPS")
    assert build_cache(read_msd(msd), other, tmp_path).folder != first.folder
    build_cache(read_msd(msd), NATIVE, tmp_path)
    assert len(reads) == 6


def test_renamed_classes_are_noticed(msd, tmp_path, edit):
    first = build_cache(read_msd(msd), NATIVE, tmp_path)
    edit(labels={"0": "background", "1": "high", "2": "low"})
    assert build_cache(read_msd(msd), NATIVE, tmp_path).folder != first.folder


def test_bad_data_leave_no_cache(msd, tmp_path):
    (msd / "labelsTr" / "a.nii.gz").write_bytes(b"")
    for _ in range(2):
        with pytest.raises(UserError, match=r"labelsTr/a.nii.gz cannot be read: it is empty"):
            build_cache(read_msd(msd), NATIVE, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_two_that_build_at_once_share_one_cache(msd, tmp_path, monkeypatch):
    together = threading.Barrier(2)
    examine = cache_module.examine

    def meet(*arguments):
        together.wait(timeout=20)  # both have begun before either has finished
        return examine(*arguments)

    monkeypatch.setattr(cache_module, "examine", meet)
    monkeypatch.setattr(filelock.FileLock, "acquire", no_lock)
    caches: list[VolumeCache] = []

    def build():
        caches.append(build_cache(read_msd(msd), NATIVE, tmp_path / "cache"))

    threads = [threading.Thread(target=build) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [cache.folder for cache in caches] == list((tmp_path / "cache").iterdir()) * 2
    np.testing.assert_array_equal(caches[0].image("c"), caches[1].image("c"))


def no_lock(*_, **__):
    raise OSError(errno.ENOSYS, "Function not implemented")


def test_what_a_killed_process_left_of_a_cache_goes(msd, tmp_path):
    name = read_msd(msd).fingerprint(NATIVE)
    draft = tmp_path / f".{name}-0123456789abcdef"
    draft.mkdir()
    (draft / "images.f32").write_bytes(b"half of it")
    cache = build_cache(read_msd(msd), NATIVE, tmp_path)
    assert cache.folder == tmp_path / name and not draft.exists()


def test_a_pickled_cache_is_small_and_works(msd, tmp_path):
    cache = build_cache(read_msd(msd), NATIVE, tmp_path)
    cache.image("a")
    pickled = pickle.dumps(cache)
    assert len(pickled) < 2000
    np.testing.assert_array_equal(pickle.loads(pickled).image("a"), cache.image("a"))


@pytest.mark.parametrize("size", [0.9375, 0.0336, 0.00065, 8e-6])
def test_a_microscopes_voxels_stay_as_small_as_they_are(msd, tmp_path, size):
    """Those of one size are not resampled."""
    values, affine = np.random.default_rng(0).normal(size=SHAPE), np.diag([size] * 3 + [1])
    for name in "abc":
        write_nifti(msd / "imagesTr" / f"{name}.nii.gz", values.astype(np.float32), affine)
        write_nifti(msd / "labelsTr" / f"{name}.nii.gz", ball(SHAPE), affine)
    cache = build_cache(read_msd(msd), Preprocess(crop="none"), tmp_path / "cache")
    assert cache.spacing == (size, size, size)
    assert cache.shape("a") == SHAPE


def test_median_spacing_is_that_of_the_data(msd, tmp_path):
    for name, size in (("a", 1.0), ("b", 2.0), ("c", 4.0)):
        for part, values in (("imagesTr", np.ones(SHAPE, np.float32)), ("labelsTr", ball(SHAPE))):
            write_nifti(msd / part / f"{name}.nii.gz", values, np.diag([size, 1, 1, 1]))
    cache = build_cache(read_msd(msd), Preprocess(crop="none"), tmp_path)
    assert cache.spacing == (2.0, 1.0, 1.0)
    assert [cache.shape(name)[0] for name in cache.names] == [
        6,
        12,
        24,
    ]  # as many as fill the extent
