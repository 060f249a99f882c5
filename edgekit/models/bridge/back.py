"""tf_keras to Keras 3."""

from __future__ import annotations

from edgekit.models.bridge.twin import Twin
from edgekit.models.source import SourceModel


def to_keras(source: SourceModel) -> Twin:
    return Twin(source, [])
