"""Samples: named inputs and labels, read from the files people have, in memory or as they are requested.

Arrays have the sample as their first axis. Images are NHWC, audio is (samples, time), series are
(samples, time, channels).
"""

from edgekit.samples.arrays import save_npy, save_npz
from edgekit.samples.lazy import FileArray, LazyArray, MappedArray, blocks
from edgekit.samples.samples import LABELS, Samples, check_sample_array
from edgekit.samples.sources import SamplesLike, Sources, load_samples
from edgekit.samples.splits import Splits, load_splits
from edgekit.tensor import ANY_INPUT

__all__ = [
    "ANY_INPUT",
    "LABELS",
    "FileArray",
    "LazyArray",
    "MappedArray",
    "Samples",
    "SamplesLike",
    "Sources",
    "Splits",
    "blocks",
    "check_sample_array",
    "load_samples",
    "load_splits",
    "save_npy",
    "save_npz",
]
