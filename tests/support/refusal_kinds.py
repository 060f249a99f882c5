"""The kinds of reasons why a file is not made, for tests and for the corpus in benchmarks/."""

from __future__ import annotations

import re

# The words by which a reason is known, by kind.
KINDS: dict[str, str] = {
    "TFLite lacks an operator, Flex has it": r"TFLite has no \w+ of its own",
    "TFLite lacks an operator, Flex too": r"TFLite has no \w+, with Flex or without",
    "ONNX lacks an operator": r"ONNX has no \w+",
    "ONNX: no quantiser offers it": r"onnxruntime's quantiser does not make it",
    "no weights to store so": r"this model has no weights that (onnxruntime|the quantiser)",
    "blocks do not fit the weights": r"not divisible by block size",
    "a state inside the model": r"changes a state of its own, or looks values up in a table",
    "wrappers that were not stripped": r"still has the wrappers of",
    "text inside the model": r"computes with text",
    "a table inside the model": r"looks values up in a table",
    "loops hide their ranges": r"ranges inside a loop",
    "nothing to quantise": r"no tensor of it can be quantised|nothing in it was quantised",
    "not all in integers": r"not all of it can be integers",
    "a body hides what stays in float": r"inside a loop or a branch, where onnxruntime's converter",
    "one name at both ends": r"an input and an output are both called",
    "the converter died": r"TensorFlow's converter died of it",
    "the interpreter died": r"itself died of it",
    "scales too far apart": r"XNNPACK, the interpreter's fast kernels, takes no file",
    "the interpreter lacks a kernel": r"the interpreter has no kernel for \w+ in \w+",
    "it does not follow its model": r"was made, but does not answer as the model does",
    "a kernel ends the inference": r"the kernel for \w+ in \w+ ends the first inference",
}


def kind_of(reason: str) -> str | None:
    """The kind, of `KINDS`, that a reason for a missing file is of; None if it is of none."""
    return next((kind for kind, words in KINDS.items() if re.search(words, reason)), None)
