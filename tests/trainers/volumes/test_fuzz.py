"""Mutated NIfTI files from their first byte to a written segmentation.

Allowed: a refusal of one line, or a result that is right by the header as it is now.
"""

import gzip
import logging
import resource
import signal
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nibabel as nib
import numpy as np
import psutil
import pytest

from tests.trainers.oracle import segmenter, truth
from tests.trainers.volumes.damage import AFFINE, GEOMETRY, File, files, mutated
from trainers.errors import UserError
from trainers.evaluate import evaluate_folder
from trainers.segmenter import Segmenter
from trainers.volumes.nifti import save_segmentation

MOST_MEMORY = 2 * 2**30  # bytes more than there are at the start
MOST_SECONDS = 10
LABELS = truth((7, 9, 6))
IMAGE = (LABELS * 100).astype(np.int16)
NATIVE, RESAMPLED = segmenter(), segmenter(spacing=(2.0, 2.0, 2.0), crop="foreground")


class TooLong(BaseException):
    """No `Exception`: nothing on the way may catch it."""


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what nibabel says of such files."""
    logging.disable()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)


@contextmanager
def limits() -> Iterator[None]:
    """More memory cannot be had, and what takes longer is ended."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (psutil.Process().memory_info().vms + MOST_MEMORY, hard))

    def end(*_):
        raise TooLong

    before = signal.signal(signal.SIGALRM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGALRM, before)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


class Way:
    """All that happens to a file, in a folder with its label."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "images").mkdir()
        (folder / "labels").mkdir()
        nib.save(nib.Nifti1Image(LABELS, AFFINE), folder / "labels" / "a.nii")
        image = folder / "unmutated.nii"
        image.write_bytes(files(IMAGE)[0].to_bytes())
        self.expected = {id(one): one.segment(image) for one in (NATIVE, RESAMPLED)}
        np.testing.assert_array_equal(self.expected[id(NATIVE)], LABELS)
        assert (self.expected[id(RESAMPLED)] == LABELS).mean() > 0.5

    def go(self, file: File, content: bytes) -> None:
        """Raises AssertionError for a wrong result, and whatever is raised on the way."""
        image = self.folder / "images" / f"a{file.ending}"
        image.write_bytes(content)
        try:
            self._segment(image, file, content, NATIVE)
            self._segment(image, file, content, RESAMPLED)
            self._evaluate()
        finally:
            image.unlink()

    def _segment(self, image: Path, file: File, content: bytes, network: Segmenter) -> None:
        written = self.folder / "out.nii.gz"
        try:
            labels = network.segment(image)
            save_segmentation(labels, like=image, to=written)
        except UserError as error:
            assert "\n" not in str(error), f"more than a line: {error}"
            return
        whole = unpacked(file, content)
        assert whole is not None, "a damaged file was read"
        with _quiet():
            told, found = nib.load(image), nib.load(written)
            values = told.get_fdata().reshape(labels.shape)
        np.testing.assert_array_equal(found.dataobj, labels)
        np.testing.assert_allclose(found.affine, told.affine, rtol=1e-5)
        assert labels.dtype == np.uint8
        if network is NATIVE:
            assert right(labels, values), "a label is not that of its voxel"
        if unchanged(file, whole):
            np.testing.assert_array_equal(labels, self.expected[id(network)])
            np.testing.assert_array_equal(found.affine, AFFINE)

    def _evaluate(self) -> None:
        try:
            found = evaluate_folder(NATIVE, self.folder / "images", self.folder / "labels")
        except UserError as error:
            assert "cannot be used" in str(error), error
        else:
            assert found.dice is not None


def right(labels: np.ndarray, values: np.ndarray) -> bool:
    """The class whose 100 times is the nearest; either one where a value is half way."""
    steps = np.clip(values, 0, 400) / 100
    tie = np.abs(steps % 1 - 0.5) < 1e-4
    return bool(((labels == np.minimum(np.rint(steps), 2)) | tie).all())


def unpacked(file: File, content: bytes) -> bytes | None:
    """What is in the file; None where it is packed and its checksum does not fit."""
    if not file.packed:
        return content
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error):
        return None


def unchanged(file: File, whole: bytes) -> bool:
    """Are the voxels, and the fields that say what and where they are, those of `file`?"""
    size = len(file.header)
    if len(whole) < size or whole[size:] != file.rest:
        return False
    now, was = np.frombuffer(whole[:size], file.dtype)[0], file.fields()[0]
    return all(now[name].tobytes() == was[name].tobytes() for name in GEOMETRY)


def problems(way: Way, seeds: range) -> list[str]:
    """What went wrong, with the number of the file that it went wrong with."""
    found = []
    for seed in seeds:
        file, how, content = mutated(IMAGE, seed)
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            signal.alarm(MOST_SECONDS)
            try:
                way.go(file, content)
            except (Exception, TooLong) as error:
                found.append(f"{seed} ({how}): {type(error).__name__}: {error}")
            finally:
                signal.alarm(0)
        ours = str(way.folder)  # what we say begins with the file
        noise = [str(w.message) for w in told if not str(w.message).startswith(ours)]
        found += [f"{seed} ({how}): {text}" for text in noise]
    return found


@pytest.fixture
def way(tmp_path):
    return Way(tmp_path)


def test_three_hundred_mutated_files_are_refused_or_read_right(way, caplog):
    with limits():
        assert problems(way, range(300)) == []
    assert caplog.records == []  # nibabel has not spoken


@pytest.mark.slow
def test_thirty_thousand_more(way):
    with limits():
        assert problems(way, range(300, 31_000)) == []
