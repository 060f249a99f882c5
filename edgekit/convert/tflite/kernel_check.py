"""Trying: operators whose integer kernel does not take what the quantiser made are left in float.

Some kernels say so only when a file is prepared: an int16 subtraction whose two scales suit no common
shift, for one. Others only when they are given values, and not those of every sample: a square root in
integers ends the inference at a negative value, where a real one gives NaN.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.calibration.probes import TfliteProbe, batches
from edgekit.convert.targets import Remake
from edgekit.errors import ArtifactError, ExportError, require
from edgekit.formats.model_file import ModelFile
from edgekit.runtime import load as load_runner
from edgekit.runtime.shapes import allocated
from edgekit.samples import Samples
from edgekit.scratch import scratch_folder

# What loops over steps are cut into when they are written out.
STEPS = "UNPACK"
# Kernels that are defined for some values only, and end an inference that brings others.
_PARTIAL = frozenset({"DIV", "LOG", "POW", "RSQRT", "SQRT"})


def prepared_by_kernels(
    remake: Remake, scheme: str, samples: Samples | None = None
) -> tuple[ModelFile, frozenset[str], tuple[str, ...]]:
    """A quantised TFLite file that the interpreter's own kernels prepare, if there is a way to one.

    Its own, without a delegate: they name the operator, and boards without XNNPACK have no others.

    Args:
        remake: makes the file, with some kinds of operators left in float.
        scheme: of it.
        samples: one of them is run where the file has kernels that end an inference, and so are zeros and
            the same below zero, which come in use; nothing is run by default.

    Returns:
        The file, the operators left in float to that end, and a line that says so. Where there is no
        way, the file as it was, and nothing.

    Raises:
        ExportError: the quantiser cannot treat this model.
    """
    first = file = remake(frozenset())
    in_float: frozenset[str] = frozenset()
    while (refused := _refused(file, samples)) is not None:
        if refused <= in_float:
            return first, frozenset(), ()
        in_float |= refused
        try:
            file = remake(in_float)
        except ExportError:
            return first, frozenset(), ()
    names = ", ".join(sorted(in_float))
    ways = (f"{names} left in float: no {scheme} kernel takes its scales here",) if names else ()
    if STEPS not in in_float and ends_its_process(file):
        try:
            file, in_float = remake(in_float | {STEPS}), in_float | {STEPS}
        except ExportError:
            return file, in_float, ways
        ways = (*ways, f"{STEPS} left in float: XNNPACK dies of its integers here")
    return file, in_float, ways


def ends_its_process(file: ModelFile) -> bool:
    """Whether the interpreter dies of a quantised file, as XNNPACK does of some steps that were written out.

    Tried in a process of its own, if the file has such steps.
    """
    if not any(operator.op == STEPS for operator in file.model.operators):
        return False
    with scratch_folder(None) as (folder, _):
        path = folder / "trial.tflite"
        path.write_bytes(file.content)
        try:
            load_runner(path, verify=True).close()
        except ArtifactError as error:
            return "crashed the interpreter" in str(error)
    return False


def _refused(file: ModelFile, samples: Samples | None) -> frozenset[str] | None:
    """The operators that an interpreter names when it does not run a file; None if it does."""
    module = require("ai_edge_litert.interpreter", "export", "Trying a TFLite file")
    resolver = module.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    make = partial(
        module.Interpreter, model_content=file.content, experimental_op_resolver_type=resolver
    )
    try:
        allocated(make)
        if samples is not None and any(o.op in _PARTIAL for o in file.model.operators):
            probe = TfliteProbe(file.tflite, (), delegate=False)
            for batch in batches(_trials(samples), probe.batch):
                probe.run(batch, _ignored)
    except (RuntimeError, ValueError, ExportError) as error:
        words = f"{error} {error.__cause__ or ''}"
        named = re.findall(r"Node number \d+ \(([A-Z0-9_]+)\) failed to (?:prepare|invoke)", words)
        return frozenset(named)
    return None


def _ignored(*_: Any) -> None:
    """Nothing is looked at."""


def _trials(samples: Samples) -> Samples:
    """The first sample, nothing but zeros, and the first sample with its signs turned, where it has some."""

    def turned(x: NDArray[Any]) -> NDArray[Any]:
        return np.concatenate([x, np.zeros_like(x), -x if x.dtype.kind == "f" else x])

    return Samples({name: turned(np.asarray(x[:1])) for name, x in samples.inputs.items()})
