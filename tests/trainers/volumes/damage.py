"""NIfTI files with mutated headers, seeded; each kind of mutation is a function of a file."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import dataclass, replace

import nibabel as nib
import numpy as np

AFFINE = np.array([[0, 0, -3, 40], [-1, 0, 0, 7], [0, 2, 0, -5], [0, 0, 0, 1.0]])
GEOMETRY = ("qform_code", "sform_code", "quatern_b", "quatern_c", "quatern_d", "qoffset_x",
            "qoffset_y", "qoffset_z", "srow_x", "srow_y", "srow_z", "pixdim", "xyzt_units",
            "dim", "datatype", "bitpix", "vox_offset", "scl_slope", "scl_inter", "magic",
            "sizeof_hdr")  # fmt: skip
"""The fields that say what voxels are and where; no other may change a result."""

NUMBERS = {
    "i": (0, 1, -1, 2, 3, 4, 7, 8, 16, 64, 128, 255, 256, 512, 768, 1024, 1280, 1536, 1792, 2048,
          2304, 4096, 32767, -32768, 2**31 - 1, -(2**31), 2**62, -(2**63)),
    "f": (0.0, -0.0, 1.0, -1.0, 0.5, 2.0, 1e-45, 1e-30, 1e-3, 1e3, 1e9, 1e30, -1e30, np.nan, np.inf,
          -np.inf, 352.0, 353.0, 544.0, 348.0, 1e5),
    "u": (0, 1, 2, 3, 4, 7, 8, 10, 18, 127, 128, 255),
}  # fmt: skip


@dataclass(frozen=True)
class File:
    """A NIfTI file in pieces: the raw header, what follows it, and how it is packed."""

    header: bytes
    rest: bytes
    dtype: np.dtype
    packed: bool

    @property
    def ending(self) -> str:
        return ".nii.gz" if self.packed else ".nii"

    def fields(self) -> np.ndarray:
        """The header as a record of its fields, a copy."""
        return np.frombuffer(self.header, self.dtype).copy()

    def to_bytes(self) -> bytes:
        whole = self.header + self.rest
        return gzip.compress(whole, 1, mtime=0) if self.packed else whole


def write_file(values: np.ndarray, version: int, endianness: str, packed: bool) -> File:
    """A file of that kind with qform, sform and a line of free text."""
    kind = (nib.Nifti1Image, nib.Nifti2Image)[version - 1]
    header = kind.header_class(endianness=endianness)
    header["descrip"] = b"somebody"
    header.set_data_dtype(values.dtype)
    image = kind(values, AFFINE, header)
    image.set_qform(AFFINE, 1)
    image.set_sform(AFFINE, 1)
    image.header.set_xyzt_units("mm", "sec")
    whole, size = image.to_bytes(), header.sizeof_hdr
    return File(whole[:size], whole[size:], header.structarr.dtype, packed)


def files(values: np.ndarray) -> list[File]:
    """Every version and endianness, packed and not."""
    return [
        write_file(values, version, endianness, packed)
        for version in (1, 2)
        for endianness in "<>"
        for packed in (False, True)
    ]


def flip_bytes(file: File, rng: np.random.Generator) -> bytes:
    """One to eight bytes of the header are others; the extension flag belongs to it."""
    whole = bytearray(file.header + file.rest[:4])
    for place in rng.integers(len(whole), size=rng.integers(1, 9)):
        whole[place] = rng.integers(256)
    size = len(file.header)
    return replace(
        file, header=bytes(whole[:size]), rest=bytes(whole[size:]) + file.rest[4:]
    ).to_bytes()


def set_fields(file: File, rng: np.random.Generator) -> bytes:
    """One to three fields, or entries of them, hold a number that is a limit of something."""
    record = file.fields()
    for name in rng.choice(record.dtype.names, size=rng.integers(1, 4)):
        _set(record[name], rng)
    return replace(file, header=record.tobytes()).to_bytes()


def set_geometry(file: File, rng: np.random.Generator) -> bytes:
    """The same, of the fields that say what voxels are and where."""
    record = file.fields()
    for name in rng.choice(GEOMETRY, size=rng.integers(1, 4)):
        _set(record[name], rng)
    return replace(file, header=record.tobytes()).to_bytes()


def cut(file: File, rng: np.random.Generator) -> bytes:
    """The file ends anywhere, in its header half of the time."""
    whole = file.to_bytes()
    return whole[: rng.integers(len(file.header) if rng.random() < 0.5 else len(whole))]


def damage(file: File, rng: np.random.Generator) -> bytes:
    """One to four bytes anywhere in the file are others: a packed one does not unpack to itself."""
    whole = bytearray(file.to_bytes())
    for place in rng.integers(len(whole), size=rng.integers(1, 5)):
        whole[place] = rng.integers(256)
    return bytes(whole)


MUTATIONS: tuple[Callable[[File, np.random.Generator], bytes], ...] = (
    flip_bytes, set_fields, set_geometry, set_geometry, cut, damage,
)  # fmt: skip


def mutated(values: np.ndarray, seed: int) -> tuple[File, str, bytes]:
    """The file number `seed` of a series without an end: what it was, how it changed, its bytes."""
    rng = np.random.default_rng(seed)
    kinds = files(values)
    file, mutation = kinds[seed % len(kinds)], MUTATIONS[rng.integers(len(MUTATIONS))]
    return file, mutation.__name__, mutation(file, rng)


def _set(field: np.ndarray, rng: np.random.Generator) -> None:
    flat = field.reshape(-1)  # a view: the record is changed
    kind = flat.dtype.kind
    if kind == "S":
        flat[0] = rng.bytes(flat.dtype.itemsize)
        return
    value = rng.choice(NUMBERS[kind])
    with np.errstate(all="ignore"):
        flat[rng.integers(flat.size)] = np.asarray(value).astype(flat.dtype)
