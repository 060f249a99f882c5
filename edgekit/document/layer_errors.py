"""Layer errors: a float and a quantised file side by side, operator by operator, as a document holds it.

It lies here and not with those who measure: the report reads it.
"""

from __future__ import annotations

from dataclasses import dataclass

from edgekit.document.record import Count, Fraction, NotNegative, Record, Text


@dataclass(frozen=True)
class LayerError(Record):
    """One operator. Decibels are the variance of the float file's values over the mean square error.

    Attributes:
        number: of the operator in the file, from 0.
        op: what it does, by TFLite's name.
        tensor: that it gives.
        layer: of the Keras model; empty where nothing tells it.
        dtype: that it computes in.
        values: that it gives for one inference.
        equal: whether it gives exactly what the float file does, all that came before included.
        accumulated_db: what it gives in the file, all earlier errors included; None where that is
            identical, not finite, or of another shape.
        own_db: what it gives where it takes the float file's values: the error that it causes itself; None
            also where it cannot be run by itself.
        weights_db: the float file's operator with this one's weights and bias; None without weights.
        rounding_db: the float file's values on the grid that this one's output is rounded to; None
            without a grid.
        clipped: share of the float file's values that lie beyond that grid.
        used: share of that grid which the float file's values use.
        max_abs: the largest accumulated error, in the tensor's unit; None where it is not finite.
    """

    number: Count
    op: Text
    tensor: str
    layer: str
    dtype: str
    values: Count
    equal: bool
    accumulated_db: float | None
    own_db: float | None
    weights_db: float | None
    rounding_db: float | None
    clipped: Fraction | None
    used: NotNegative | None
    max_abs: NotNegative | None


@dataclass(frozen=True)
class LayerErrors(Record):
    """A file's operators beside those of the float file.

    Attributes:
        file, reference: paths of both; of a model, where a float file was made of it.
        samples: that both were run with.
        layers: operators that both have, in the file's order.
        unmatched: tensors of operators of the file that the float file does not have.
        output_db: the worst output.
        weights_only_db: the float file's worst output with the file's weights; None where that could not
            be run.
        activations_only_db: the float file's worst output with values rounded to the file's grids.
    """

    file: Text
    reference: Text
    samples: Count
    layers: tuple[LayerError, ...]
    unmatched: tuple[str, ...]
    output_db: float | None
    weights_only_db: float | None
    activations_only_db: float | None
