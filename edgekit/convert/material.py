"""Material: the samples that an export works with."""

from __future__ import annotations

from dataclasses import dataclass, replace

from edgekit.convert.order import Order
from edgekit.errors import UsageError
from edgekit.recipe import DataRecipe
from edgekit.samples import Samples, SamplesLike, Sources

# Samples that take up to this are read once and kept in memory; larger ones are read as they are needed.
_HELD_BYTES = 1 << 28


@dataclass(frozen=True)
class Given:
    """Where samples are, not read yet: as `edgekit.export` takes them, or what a recipe names.

    Attributes:
        calibration: to find ranges from.
        validation: to hold against the ranges found.
        data: labelled, to fine-tune with.
    """

    calibration: SamplesLike | DataRecipe | None = None
    validation: SamplesLike | DataRecipe | None = None
    data: SamplesLike | DataRecipe | None = None

    def completed(self, order: Order, own: DataRecipe | None) -> Given:
        """With the data that the recipe names, where `order` needs some and none are given.

        Raises:
            UsageError: there are none.
        """
        data, calibration = self.data, self.calibration
        if data is None and order.optimized:
            data = own
        if calibration is None and order.calibrated:
            calibration = own
        if calibration is None and order.recipe.qat:
            # What the model is trained on shows what it will see.
            calibration = data
        if order.optimized and data is None:
            raise UsageError(
                "pruning, clustering and quantisation-aware training need samples to fine-tune with: "
                "give --data SAMPLES (data=samples)."
            )
        return replace(self, calibration=calibration, data=data)


@dataclass(frozen=True)
class Material:
    """The samples that an export works with: raw data, prepared as the model says where it is used.

    Attributes:
        calibration: drawn, to find ranges from.
        given: how many samples they were drawn from.
        validation: drawn, to hold against the ranges found.
        data: labelled, to fine-tune with.
    """

    calibration: Samples | None = None
    given: int = 0
    validation: Samples | None = None
    data: Samples | None = None

    @classmethod
    def of(cls, order: Order, given: Given, sources: Sources) -> Material:
        """Read what is given.

        Raises:
            UsageError: something is no samples, or nothing is at a path.
            RecipeError: a recipe has no such part of its data.
            SamplesError: the data cannot be used.
        """

        def read(name: str, part: str) -> Samples | None:
            value = getattr(given, name)
            if value is None:
                return None
            if isinstance(value, DataRecipe):
                return sources.splits(value).part(part)
            return sources.samples(value, name, part)

        def drawn(samples: Samples | None) -> Samples | None:
            recipe = order.recipe
            return samples and samples.subset(recipe.calibration, recipe.seed).held(_HELD_BYTES)

        calibration, validation = (
            read("calibration", "calibration"),
            read("validation", "validation"),
        )
        data = read("data", "train")
        return cls(
            drawn(calibration),
            len(calibration or ()),
            drawn(validation),
            data and data.held(_HELD_BYTES),
        )
