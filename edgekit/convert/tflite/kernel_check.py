"""Trying: operators whose integer kernel does not take what the quantiser made are left in float.

Some kernels say so only when a file is prepared: an int16 subtraction whose two scales suit no common
shift, for one.
"""

from __future__ import annotations

import re
from functools import partial

from edgekit.convert.targets import Remake
from edgekit.errors import ExportError, require
from edgekit.formats.model_file import ModelFile
from edgekit.runtime.shapes import allocated


def prepared_by_kernels(
    remake: Remake, scheme: str
) -> tuple[ModelFile, frozenset[str], tuple[str, ...]]:
    """A quantised TFLite file that the interpreter's own kernels prepare, if there is a way to one.

    Its own, without a delegate: they name the operator, and boards without XNNPACK have no others.

    Returns:
        The file, the operators left in float to that end, and a line that says so. Where there is no
        way, the file as it was, and nothing.

    Raises:
        ExportError: the quantiser cannot treat this model.
    """
    first = file = remake(frozenset())
    in_float: frozenset[str] = frozenset()
    while (refused := _refused(file.content)) is not None:
        if refused <= in_float:
            return first, frozenset(), ()
        in_float |= refused
        try:
            file = remake(in_float)
        except ExportError:
            return first, frozenset(), ()
    names = ", ".join(sorted(in_float))
    ways = (f"{names} left in float: no {scheme} kernel takes its scales here",) if names else ()
    return file, in_float, ways


def _refused(content: bytes) -> frozenset[str] | None:
    """The operators that an interpreter names when it does not prepare a file; None if it does."""
    module = require("ai_edge_litert.interpreter", "export", "Trying a TFLite file")
    resolver = module.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    make = partial(
        module.Interpreter, model_content=content, experimental_op_resolver_type=resolver
    )
    try:
        allocated(make)
    except (RuntimeError, ValueError) as error:
        named = re.findall(r"Node number \d+ \(([A-Z0-9_]+)\) failed to prepare", str(error))
        return frozenset(named)
    return None
