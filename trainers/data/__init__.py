"""Data: reading, checking, preparing, caching, splitting and sampling volumes."""

from trainers.data.cache import VolumeCache, build_cache
from trainers.data.check import check_dataset
from trainers.data.config import DataConfig, MsdData, PhantomData, Preprocess, Split
from trainers.data.msd import Dataset, read_msd
from trainers.data.nifti import save_segmentation
from trainers.data.patches import PatchSampler
from trainers.data.prepare import prepare_data
from trainers.data.preprocess import prepare_image, restore
from trainers.data.splits import Cases, split_cases

__all__ = [
    "Cases",
    "DataConfig",
    "Dataset",
    "MsdData",
    "PatchSampler",
    "PhantomData",
    "Preprocess",
    "Split",
    "VolumeCache",
    "build_cache",
    "check_dataset",
    "prepare_data",
    "prepare_image",
    "read_msd",
    "restore",
    "save_segmentation",
    "split_cases",
]
