"""Causes: what stands behind an interpreter's refusal, and what helps."""

from __future__ import annotations

import re

from edgekit.errors import one_line

_NEWER = "Take a newer interpreter, or write the file for an older one"
# What interpreters say, and what to do about it.
_CAUSES = (
    (
        r"[Ee]xternal data path does not exist|External initializer.*does not exist|external data file",
        "Weights lie in a file that is missing: put it beside the .onnx file, under the name it has there.",
    ),
    (r"Unsupported model IR version", f"Its IR version is too new here. {_NEWER}."),
    (
        r"opset.*under development|official support for domain|only \*guarantees\* support",
        f"Its opset is too new here. {_NEWER}.",
    ),
    (
        r"is not a registered function/op|unresolved custom op",
        "It needs a custom operator, whose kernel its maker has to bring; or the interpreter is too old.",
    ),
    (
        r"Select TensorFlow op|Flex delegate",
        "It needs TensorFlow's own kernels (Flex), which this interpreter lacks. Export without Flex.",
    ),
    (
        r"Didn't find op for builtin opcode|builtin_code out of range|Op builtin_code",
        f"It holds an operator, or a version of one, that is too new here. {_NEWER}.",
    ),
    (
        r"ModifyGraphWithDelegate|apply delegate|delegate.*fail",
        "The delegate does not take it: try another one, or 'none'.",
    ),
    (
        r"failed to prepare|Could not find an implementation for",
        "A kernel here does not take what the file asks of it: the file is too new for this interpreter, or damaged. "
        f"{_NEWER}; 'edgekit inspect' says which run it.",
    ),
    (
        r"bad_alloc|MemoryError|Unable to allocate|Failed to allocate memory",
        "There is not enough memory for it here.",
    ),
    (
        r"[Pp]rotobuf parsing failed|not a valid Flatbuffer|Flatbuffer|verify.*buffer",
        "It is damaged or no such file: get it anew or make it again.",
    ),
)

# What onnxruntime puts in front: a number, and a path that stands before it already.
_HEADING = re.compile(
    r"^\[ONNXRuntimeError\] : \d+ : \w+ : (?:Load model from .*? failed: ?)?(?:Failed to load model[^.:]*[.:] ?)?"
)


def explained(error: Exception, ending: str) -> str:
    """What an interpreter says, on one line, and what to do.

    Args:
        error: of the interpreter.
        ending: of the file, such as ``".onnx"``.
    """
    text = _HEADING.sub("", one_line(error)).rstrip(".")
    advice = (
        cause(text) or f"Is it a whole {ending} file, and is the interpreter new enough for it?"
    )
    return f"{text}. {advice}"


def cause(text: str) -> str | None:
    """What to do about a refusal; None where its cause is not known."""
    return next((advice for pattern, advice in _CAUSES if re.search(pattern, text)), None)
