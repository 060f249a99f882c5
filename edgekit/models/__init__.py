"""Models: load every format, build reference architectures, cross between the flavours of Keras.

TensorFlow is imported when a model is, not before.
"""

from edgekit.models.loading import load

__all__ = ["load"]
