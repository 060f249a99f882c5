"""How much the loss of each class counts, in numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.errors import RecipeError, nearest
from edgekit.recipe.class_weights import ClassWeights
from edgekit.samples import Samples


def weights_of(
    recipe: ClassWeights | None, samples: Samples, classes: int, names: Sequence[str] = ()
) -> NDArray[np.float32] | None:
    """A number for each class, (classes,); None where all count the same.

    Args:
        recipe: as in the recipe.
        samples: to train on; their class numbers are counted.
        classes: how many the model tells apart.
        names: of the classes, where they have some.

    Raises:
        RecipeError: labels that number no classes, or a class that there is not (the nearest is named).
    """
    if recipe is None:
        return None
    labels = samples.class_labels
    if labels is None or not classes:
        raise RecipeError(
            "training: class_weight: received labels that number no classes, expected a whole number "
            "a sample. Leave class_weight out."
        )
    if recipe.balanced:
        counts = np.bincount(np.asarray(labels), minlength=classes)
        return (len(labels) / (classes * np.maximum(counts, 1))).astype(np.float32)
    known: dict[str, int] = {str(number): number for number in range(classes)}
    known.update({name: number for number, name in enumerate(names[:classes])})
    weights: NDArray[Any] = np.ones(classes, np.float32)
    for name, weight in recipe.by_class.items():
        if name not in known:
            raise RecipeError(
                f"training: class_weight: unknown class {name!r}, expected one of "
                f"{', '.join(list(known)[:40])}.{nearest(name, known)}"
            )
        weights[known[name]] = weight
    return weights
