"""Options: how a file is run, whatever it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import NoneType
from typing import Any

from edgekit.errors import UsageError, check_type, whole_number

# Interpreters start what they are told, and crash when the system refuses.
_MAX_THREADS = 256

# Seconds that an isolated inference may take where nobody says otherwise, and at most.
DEADLINE_S = 10.0
_MAX_DEADLINE_S = 86_400

# The delegate that is none: the interpreter's own kernels.
NO_DELEGATE = "none"
# The kernels that TFLite's own are held against: slow, and the same to the bit on every processor.
REFERENCE = "reference"
OWN_KERNELS = (None, NO_DELEGATE, REFERENCE)


@dataclass(frozen=True)
class Options:
    """How a file is run.

    Attributes:
        threads: how many one inference may use.
        delegate: what runs the operators in the interpreter's stead. None is the backend's default
            (XNNPACK for TFLite, where the wheel has it), ``"none"`` its own kernels alone,
            ``"reference"`` for TFLite its reference kernels, which answer alike on every processor; else for
            TFLite the shared library of an external delegate, such as ``libedgetpu.so.1``, and for
            ONNX the name of an execution provider.
        delegate_options: what that delegate is told, as its documentation has it.
        weight_cache: keep XNNPACK's packed weights in the user's cache folder.
        trust_code: let code that a Keras file holds run.
        imports: Python files that define a Keras model's own layers, run before it is loaded.
        verify: where a ``.tflite`` or ``.onnx`` file has dynamic dimensions, try each shape in a child
            process before it is run here; `edgekit.load` says so.
        isolated: open and run the file in a sandboxed child process.
        deadline_s: seconds that an isolated inference may take; `DEADLINE_S` if None.

    Raises:
        UsageError: a number of threads that no machine starts, options without a delegate, or options
            that an isolated runner cannot heed, or that are for one.
    """

    threads: int = 1
    delegate: str | None = None
    delegate_options: Mapping[str, str] = field(default_factory=dict)
    weight_cache: bool = False
    trust_code: bool = False
    imports: Sequence[str] = ()
    verify: bool = False
    isolated: bool = False
    deadline_s: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "threads", whole_number("threads", self.threads, _MAX_THREADS))
        check_type("delegate", self.delegate, (str, NoneType), "a name or the path of a library")
        check_type("delegate_options", self.delegate_options, Mapping, "a dictionary of texts")
        if self.delegate_options and self.delegate in OWN_KERNELS:
            raise UsageError(
                f"delegate_options: received {', '.join(self.delegate_options)} without a delegate. "
                "Name the delegate that they are for."
            )
        if self.deadline_s is not None:
            self._check_deadline(self.deadline_s)
        if self.isolated:
            self._check_isolated()

    def _check_deadline(self, seconds: Any) -> None:
        if type(seconds) not in (int, float) or not 0 < seconds <= _MAX_DEADLINE_S:
            raise UsageError(
                f"deadline_s: received {seconds!r}, expected seconds, more than 0 and at most "
                f"{_MAX_DEADLINE_S}."
            )
        if not self.isolated:
            raise UsageError(
                f"deadline_s: received {seconds!r} without isolated=True: an inference in this process "
                "cannot be ended. Give both, or neither."
            )

    def _check_isolated(self) -> None:
        if self.delegate not in OWN_KERNELS:
            raise UsageError(
                f"delegate {self.delegate!r}: with isolated=True, expected 'none' or none at all: the "
                "sandbox lets no accelerator's driver through. Leave out one of them."
            )
        if self.weight_cache:
            raise UsageError(
                "weight_cache: with isolated=True, expected False: the sandbox writes no files. Leave "
                "out one of them."
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
            "isolated": self.isolated,
            "deadline_s": self.deadline_s,
        }
