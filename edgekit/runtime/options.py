"""Options: how a file is run, whatever it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import NoneType
from typing import Any

from edgekit.errors import UsageError, check_type

# Interpreters start what they are told, and crash when the system refuses.
_MAX_THREADS = 256

# The delegate that is none: the interpreter's own kernels.
NO_DELEGATE = "none"


@dataclass(frozen=True)
class Options:
    """How a file is run.

    Attributes:
        threads: how many one inference may use.
        delegate: what runs the operators in the interpreter's stead. None is the backend's default
            (XNNPACK for TFLite, where the wheel has it), ``"none"`` its own kernels alone; else for
            TFLite the shared library of an external delegate, such as ``libedgetpu.so.1``, and for
            ONNX the name of an execution provider.
        delegate_options: what that delegate is told, as its documentation has it.
        weight_cache: keep XNNPACK's packed weights in the user's cache folder.
        trust_code: let code that a Keras file holds run.
        imports: Python files that define a Keras model's own layers, run before it is loaded.
        verify: where a ``.tflite`` or ``.onnx`` file leaves axes open, try each shape in a child
            process before it is run here; `edgekit.load` says so.

    Raises:
        UsageError: a number of threads that no machine starts, or options without a delegate.
    """

    threads: int = 1
    delegate: str | None = None
    delegate_options: Mapping[str, str] = field(default_factory=dict)
    weight_cache: bool = False
    trust_code: bool = False
    imports: Sequence[str] = ()
    verify: bool = False

    def __post_init__(self) -> None:
        if type(self.threads) is not int or not 1 <= self.threads <= _MAX_THREADS:
            raise UsageError(
                f"threads: received {self.threads!r}, expected at least 1 and at most {_MAX_THREADS}."
            )
        check_type("delegate", self.delegate, (str, NoneType), "a name or the path of a library")
        check_type("delegate_options", self.delegate_options, Mapping, "a dictionary of texts")
        if self.delegate_options and self.delegate in (None, NO_DELEGATE):
            raise UsageError(
                f"delegate_options: received {', '.join(self.delegate_options)} without a delegate. "
                "Name the delegate that they are for."
            )

    def to_json(self) -> dict[str, Any]:
        return {
            "threads": self.threads,
            "delegate": self.delegate,
            "delegate_options": dict(self.delegate_options),
            "weight_cache": self.weight_cache,
            "trust_code": self.trust_code,
            "imports": list(self.imports),
            "verify": self.verify,
        }
