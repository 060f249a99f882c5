"""Mixed TFLite files: what `edgekit.calibration.mixed` leaves in float, in a file of the quantiser's."""

from __future__ import annotations

from collections.abc import Callable

from edgekit.calibration.mixed import Attempt, Plan, settle
from edgekit.calibration.probes import TfliteProbe
from edgekit.errors import ExportError
from edgekit.formats.model_file import ModelFile
from edgekit.formats.tflite import model_of
from edgekit.formats.tflite_file import TfliteFile
from edgekit.samples import Samples

_INTEGERS = ("int8", "int16")


def mixed_tflite(
    float_file: TfliteFile,
    made: ModelFile,
    quantize: Callable[..., ModelFile],
    samples: Samples,
    seed: int,
) -> tuple[ModelFile, Plan]:
    """An integer file, and what stays in float of it; nothing more where no interpreter here runs it.

    Args:
        float_file: of the bytes that `edgekit.convert.tflite.convert.float_tflite` gives.
        made: the integer file with nothing more in float than it has to have.
        quantize: makes it; takes the operators to leave in float as ``left``.
        samples: to measure on, under the files' input names.
        seed: of the choice of samples, where there are many.
    """
    model = model_of(float_file)

    def make(plan: Plan) -> Attempt:
        left = [each.operator for each in plan.left.values()]
        whole = quantize(left=left) if left else made
        file = whole.tflite
        steps = {
            tensor.name: float(scales[0])
            for tensor in file.graphs[0].tensors
            if tensor.dtype in _INTEGERS and len(scales := tensor.scales.of(file.content)) == 1
        }
        try:
            probe = TfliteProbe(file)
        except RuntimeError:
            # XNNPACK takes no scales that lie too far apart; which they are, the plain kernels show.
            probe = TfliteProbe(file, delegate=False)
        return Attempt(whole, probe, steps, {})

    try:
        plain = TfliteProbe(float_file)
        best, plan = settle(model.graphs[model.main], plain, make, samples, seed)
    except (ExportError, RuntimeError, ValueError):
        return made, Plan({})
    return best.made, plan
