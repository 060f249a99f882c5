"""Preprocessing: what was done to a model's inputs before training, in numpy alone.

Each step gives what its Keras or tf.signal twin gives, computed in float32 as they do.
"""

from edgekit.preprocess.audio import FixedLength, LogMel, Mfcc
from edgekit.preprocess.chain import STEPS, Preprocessing
from edgekit.preprocess.images import CenterCrop, Letterbox, Resize
from edgekit.preprocess.step import Step
from edgekit.preprocess.values import Rescale, Standardize

__all__ = [
    "STEPS",
    "CenterCrop",
    "FixedLength",
    "Letterbox",
    "LogMel",
    "Mfcc",
    "Preprocessing",
    "Rescale",
    "Resize",
    "Standardize",
    "Step",
]
