"""The bridge: a model of one flavour of Keras rebuilt in the other, weights copied, verified.

tensorflow-model-optimization works on tf_keras alone, tf_keras cannot read Keras 3's configurations,
and Keras 3 refuses many files of tf_keras. So the graph is walked and each layer is made anew.
"""

from edgekit.models.bridge.back import to_keras
from edgekit.models.bridge.forward import to_tf_keras
from edgekit.models.bridge.twin import TOLERANCE, Twin
from edgekit.models.bridge.weights import copy_back

__all__ = ["TOLERANCE", "Twin", "copy_back", "to_keras", "to_tf_keras"]
