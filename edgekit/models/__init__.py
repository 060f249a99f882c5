"""Models: load every format, build reference architectures, cross between the flavours of Keras.

TensorFlow is imported when a model is, not before.
"""

from edgekit.models.loading import load
from edgekit.models.objects import from_object

__all__ = ["from_object", "load"]
