"""AugmentationRecipe: how training samples are varied."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from edgekit.config import check_types
from edgekit.errors import RecipeError
from edgekit.recipe.checks import check, check_name

# Keras' own layers, which take images (batch, height, width, channels); the last takes anything.
KERAS_LAYERS = (
    "RandomFlip",
    "RandomRotation",
    "RandomTranslation",
    "RandomZoom",
    "RandomShear",
    "RandomContrast",
    "RandomBrightness",
    "RandomSaturation",
    "RandomHue",
    "RandomGrayscale",
    "RandomErasing",
    "RandomGaussianBlur",
    "RandomSharpness",
    "RandomPerspective",
    "RandomElasticTransform",
    "GaussianNoise",
)

# edgekit's own, for sound and other series: see `edgekit.train.augmentation`.
SERIES_LAYERS = ("RandomGain", "RandomTimeShift", "TimeMask", "FrequencyMask")
AUGMENTATIONS = (*KERAS_LAYERS, *SERIES_LAYERS)


@dataclass(frozen=True)
class AugmentationRecipe:
    """One layer that varies training samples, each time in another way; never part of the model.

    In TOML ``[[augmentation]]`` with a key ``layer`` and the layer's own arguments.

    Attributes:
        layer: one of `AUGMENTATIONS`.
        arguments: the layer's own.
    """

    layer: str
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_types(self)
        check_name("layer", self.layer, AUGMENTATIONS)

    @classmethod
    def from_json(cls, value: Any, where: str) -> AugmentationRecipe:
        """Read a table.

        Raises:
            RecipeError: no layer is named, or an unknown one (the nearest is named).
        """
        check(f"key {where!r}", value, lambda v: isinstance(v, dict), "a table")
        arguments = dict(value)
        layer = arguments.pop("layer", None)
        check(f"key {where + '.layer'!r}", layer, lambda v: isinstance(v, str), "a layer's name")
        try:
            return cls(layer, arguments)
        except RecipeError as error:
            raise RecipeError(f"{where}: {error}") from error
