"""Models: load and save every format, build architectures, cross between the flavours of Keras.

TensorFlow is imported when a model is, not before.
"""

from edgekit.models.loading import load
from edgekit.models.objects import from_object
from edgekit.models.saving import save

__all__ = ["from_object", "load", "save"]
