"""Remedies: what may mend a quantised file, each as a function from its bytes to better ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edgekit.calibration.methods import MIN_MAX
from edgekit.convert.tflite.convert import find_ranges, quantize_tflite
from edgekit.convert.tflite.fit import fitted_tflite
from edgekit.diagnose.effects import fitting_grid
from edgekit.diagnose.heal.editor import Editor
from edgekit.diagnose.layers import rounding_noise
from edgekit.diagnose.matching import match
from edgekit.diagnose.network import Grid
from edgekit.diagnose.side_by_side import SideBySide
from edgekit.diagnose.tflite_network import TfliteNetwork
from edgekit.errors import EdgekitError, ExportError
from edgekit.formats.model_file import ModelFile
from edgekit.formats.tflite_check import read_file
from edgekit.samples import Samples

# A grid whose noise is below so many times that of a fitting one is left as it is.
_WELL = 2.0


@dataclass(frozen=True)
class Patient:
    """What remedies are made with.

    Attributes:
        plain: the float file.
        calibration: samples to find ranges and fit with, under the float file's input names.
        ours: the same, under the names of the file's inputs.
        io_dtype: what the file takes and gives.
    """

    plain: bytes
    calibration: Samples
    ours: Samples
    io_dtype: str


Change = Callable[[bytes, Patient], bytes]


def ranges(content: bytes, patient: Patient) -> bytes:
    """Ranges that do not fit the calibration samples, estimated again from the float file's values."""
    both = _beside(content, patient)
    editor = Editor(content)
    seen = {int(g.key): v for v, grids in both.file.network.grids.items() for g in grids}
    for group in editor.groups():
        values = [x for i in group if i in seen and (x := both.reference(seen[i])) is not None]
        grid = editor.grid(group[0])
        if not values or grid is None:
            continue
        dtype = editor.file.graphs[0].tensors[group[0]].dtype
        old = Grid("", dtype, *grid)
        together = [np.concatenate([a.ravel() for a in x]) for x in values]
        fitting = fitting_grid(together, old)
        if dtype == "int16":
            largest = max(float(np.abs(x).max()) for x in together)
            fitting = Grid("", dtype, max(largest / 32767, 1e-12), 0)
        worst = max(
            (rounding_noise([x], old) or 0.0) / max(rounding_noise([x], fitting) or 0.0, 1e-12)
            for x in together
        )
        if worst > _WELL:
            editor.set_grid(group, fitting)
    return editor.content


def weights(content: bytes, patient: Patient) -> bytes:
    """Weights and biases rounded again from the float file's."""
    ours, plain = TfliteNetwork(content), TfliteNetwork(patient.plain)
    editor = Editor(content)
    theirs = {pair.file.name: pair.plain for pair in match(ours, plain).pairs}
    for place, name in editor.layers():
        node = theirs.get(name)
        if node is None or node.weights is None:
            continue
        bias = node.bias.values if node.bias is not None else None
        editor.set_layer(place, node.weights.values, bias)
    return editor.content


def fitted(content: bytes, patient: Patient) -> bytes:
    """Weights rounded by their error on the calibration samples, biases corrected, channels equalised."""
    made = ModelFile.read(content, "tflite")
    best, about = fitted_tflite(made, read_file(patient.plain), patient.calibration, 0)
    if best.content == content:
        raise ExportError(str(about.get("reason", "nothing followed better")))
    return best.content


def anew(content: bytes, patient: Patient) -> bytes:
    """The file made anew from the float file: ranges, weights with a scale a channel, and the fit."""
    del content
    plain = read_file(patient.plain)
    found = find_ranges(plain, patient.calibration, MIN_MAX)
    made = quantize_tflite(
        plain, "int8", found, patient.io_dtype, samples=patient.calibration, seed=0
    )
    best, _ = fitted_tflite(made, plain, patient.calibration, 0)
    return best.content


REMEDIES: tuple[tuple[str, Change], ...] = (
    ("ranges estimated again", ranges),
    ("weights and biases rounded again", weights),
    ("fitted to the samples, biases corrected", fitted),
    ("made anew from the float file", anew),
)


def failure(error: EdgekitError | RuntimeError | ValueError) -> str:
    """Why a remedy could not be tried."""
    return " ".join(str(error).split())[:300]


def _beside(content: bytes, patient: Patient) -> SideBySide:
    return SideBySide.of(
        TfliteNetwork(content), TfliteNetwork(patient.plain), patient.ours, patient.calibration
    )
