"""Comparing layer by layer: a loaded file beside a loaded float file, on a golden file's samples."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from edgekit.diagnose.layers import layer_errors
from edgekit.diagnose.opening import check_float, open_network
from edgekit.diagnose.side_by_side import SideBySide
from edgekit.document.layer_errors import LayerErrors
from edgekit.drift.golden import Golden
from edgekit.drift.matching import samples_for
from edgekit.errors import UsageError
from edgekit.runtime.runner import Runner


def side_by_side(
    golden: Golden,
    file: Runner,
    plain: Runner,
    names: Mapping[str, str] | None = None,
    layers: Sequence[str] = (),
) -> SideBySide:
    """Run both files on the golden's samples, every tensor kept.

    Args:
        golden: the samples.
        file, plain: the file that is looked at and the float file.
        names: the files' own name for an input of the original's.
        layers: of the Keras model, by name.

    Raises:
        UsageError: they are of two formats, or the float file is none.
        ArtifactError: one cannot be run operator by operator.
        TensorError: the samples do not fit one of them.
    """
    if file.artifact.format != plain.artifact.format:
        raise UsageError(
            f"{plain.artifact.file}: received a float file in {plain.artifact.format}, expected one in "
            f"{file.artifact.format}, as {file.artifact.file} is: operators of two formats cannot be run in turn."
        )
    ours, theirs = (open_network(os.fspath(runner.artifact)) for runner in (file, plain))
    check_float(theirs)
    return SideBySide.of(
        ours.network,
        theirs.network,
        samples_for(golden, file, names or {}),
        samples_for(golden, plain, names or {}),
        layers,
    )


def compared_layers(
    golden: Golden, file: Runner, plain: Runner, names: Mapping[str, str] | None = None
) -> LayerErrors:
    """Every operator's error, as `side_by_side` runs both files."""
    both = side_by_side(golden, file, plain, names)
    return layer_errors(both, file.artifact.file, plain.artifact.file)
