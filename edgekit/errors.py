"""The exceptions edgekit raises on purpose. Each class owns the exit code of a command that ends with it.

EdgekitError                1  the work failed: unreadable file, failed conversion
├── UsageError              2  the call is wrong: unknown name, missing file
│   ├── RecipeError            unknown or ill-valued key in a TOML file
│   └── OutputExistsError      something stands where the result would go
├── SamplesError               data that cannot be used
├── TensorError                wrong name, shape, dtype or value of a tensor
├── ArtifactError              a model file that cannot be loaded or run
│   ├── UntrustedCodeError     it holds code, and nobody said to trust it
│   └── InferenceLostError     the process that ran it for an isolated runner ended
├── DocumentError              a JSON document that is not what it should be
├── BridgeError                a model that cannot be carried over to the other flavour of Keras
├── ExportError                a model that cannot be converted
│   └── BudgetError         3  no file was found that meets a budget
│       └── UndecidedError  5  the samples are too few to tell of any
├── BundleError                a bundle that is not as it was made, or not signed as asked
├── ChildError                 a process of edgekit's own that died
├── ClusterError               other machines that cannot be reached, or were lost
├── TrainingError              a training that cannot go on
├── BoardError           6  a board that cannot be reached, was lost, or cannot be emulated here
├── UnsupportedError           the operating system lacks what the work needs
└── MissingDependencyError  4  a package is not installed; names the extra
"""

from __future__ import annotations

import errno
import importlib
import os
import re
from collections.abc import Callable, Iterable, Iterator
from numbers import Integral
from types import ModuleType
from typing import Any

# A command that ran well and whose verdict is `fail`, or `inconclusive`, raises nothing, and ends with this. A
# search for a file that meets a budget has nothing to give where there is none, and raises.
BUDGET_EXCEEDED, INCONCLUSIVE = 3, 5

# TensorFlow reads it when it is first imported. Without its oneDNN kernels, which it takes by itself
# on newer processors alone, it cannot run channels-first layers.
ONEDNN = "TF_ENABLE_ONEDNN_OPTS"
_IMPORT_TENSORFLOW = {"tensorflow", "keras", "tf_keras", "tensorflow_model_optimization", "tf2onnx"}


class EdgekitError(Exception):
    """Base of all errors that edgekit raises on purpose. Its text is one line that steers no terminal."""

    exit_code = 1

    def __str__(self) -> str:
        return printable(super().__str__())


class UsageError(EdgekitError):
    """The call itself is wrong; correct it and call again."""

    exit_code = 2


class RecipeError(UsageError):
    """A TOML file holds an unknown key or a value that cannot be used."""


class OutputExistsError(UsageError):
    """A result would replace a file, and `overwrite` was not given."""


class SamplesError(EdgekitError):
    """Data that cannot be used: unreadable, empty, not finite, labels out of range."""


class TensorError(EdgekitError):
    """A tensor has the wrong name, shape, dtype or values."""


class ArtifactError(EdgekitError):
    """A model file that cannot be loaded or run."""


class UntrustedCodeError(ArtifactError):
    """A model file holds code that would run, and trust was not given."""


class InferenceLostError(ArtifactError):
    """The process that ran a model file for an isolated runner ended, and the inference with it.

    Attributes:
        how: ``"deadline"``, ``"memory"``, ``"crash"``, or ``"killed"`` by something else.
    """

    def __init__(self, text: str, how: str = "crash") -> None:
        super().__init__(text)
        self.how = how


class DocumentError(EdgekitError):
    """A JSON document that is unreadable, invalid, or does not belong to its company."""


class BridgeError(EdgekitError):
    """A model that cannot be carried over to the other flavour of Keras; names the layer."""


class ExportError(EdgekitError):
    """A model that cannot be converted; names what stands in the way."""


class BudgetError(ExportError):
    """No file was found that meets the budget; names the best."""

    exit_code = BUDGET_EXCEEDED


class UndecidedError(BudgetError):
    """The samples are too few to tell whether a file meets the budget."""

    exit_code = INCONCLUSIVE


class BundleError(EdgekitError):
    """A bundle is not as it was made, or not signed as asked."""


class ChildError(EdgekitError):
    """A process that edgekit started ended before its work was done."""


class ClusterError(EdgekitError):
    """Other machines that share the work cannot be reached, or were lost."""


class TrainingError(EdgekitError):
    """A training that cannot start or go on."""


class BoardError(EdgekitError):
    """A board that cannot be reached, was lost, or cannot be emulated on this machine."""

    exit_code = 6


class UnsupportedError(EdgekitError):
    """The operating system lacks something that this work needs, such as file locks."""


class MissingDependencyError(EdgekitError):
    """A package that this work needs is not installed."""

    exit_code = 4


class RangeWarning(UserWarning):
    """Much of an input lies beyond what a quantised file can hold, and is clipped."""


class TrustWarning(UserWarning):
    """Code that a model file holds was let through, as the caller said to; names it."""


# The name under which packages indexes have it: `edgekit` is another project's there.
DISTRIBUTION = "edgekit-keras"


def pip_install(extra: str = "") -> str:
    """The command that installs edgekit with an extra of it."""
    return f"pip install '{DISTRIBUTION}[{extra}]'" if extra else f"pip install {DISTRIBUTION}"


# Reasons for which the system refuses any program: no space, no quota, no descriptors, no processes, a
# broken or read-only file system.
_OF_ENVIRONMENT = frozenset(
    getattr(errno, name)
    for name in (
        *("ENOSPC", "EDQUOT", "EFBIG", "EMFILE", "ENFILE", "EAGAIN", "EIO", "EROFS", "ESTALE"),
    )
    if hasattr(errno, name)
)


def of_environment(error: BaseException) -> bool:
    """Whether what the machine lacks is behind `error`, and not what it was asked to do.

    A full disk, a quota, too many open files, too little memory: the same work may succeed later.
    """
    return of_memory(error) or any(
        isinstance(cause, OSError) and cause.errno in _OF_ENVIRONMENT for cause in _causes(error)
    )


def of_memory(error: BaseException) -> bool:
    """Whether too little memory is behind `error`."""
    return any(
        isinstance(cause, MemoryError)
        # The stack of a thread found no room, or there are as many as may be.
        or (isinstance(cause, RuntimeError) and "can't start new thread" in str(cause))
        or (isinstance(cause, OSError) and cause.errno == errno.ENOMEM)
        for cause in _causes(error)
    )


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """`error` and what it was raised from, or while."""
    seen: list[BaseException] = []
    while error is not None and error not in seen:
        yield error
        seen.append(error)
        error = error.__cause__ or error.__context__


def check_type(name: str, value: Any, kind: Any, expected: str) -> None:
    """Refuse an argument that is not of the type it has to be of.

    Args:
        name: of the argument.
        kind: a class, or several, as `isinstance` takes them.
        expected: what it takes, in words.

    Raises:
        UsageError: it is of another type.
    """
    if not isinstance(value, kind):
        raise UsageError(f"{name}: received {type(value).__name__}, expected {expected}.")


def whole_number(name: str, value: Any, most: int) -> int:
    """An argument that counts something, 1 to `most`, as Python's int: numpy's integers are taken too.

    Raises:
        UsageError: it is no whole number, or none of these.
    """
    wrong = isinstance(value, bool) or not isinstance(value, Integral)
    number = 0 if wrong else int(value)
    if not 1 <= number <= most:
        raise UsageError(
            f"{name}: received {value!r}, expected a whole number, at least 1 and at most {most}."
        )
    return number


def check_progress(progress: Any) -> None:
    """Refuse what cannot be told of progress.

    Raises:
        UsageError: it is no function.
    """
    if progress is not None:
        check_type("progress", progress, Callable, "a function that takes a line of text")


def nearest(word: Any, known: Iterable[str]) -> str:
    """`" Did you mean 'x'?"` for the nearest of `known`, or an empty string."""
    if not isinstance(word, str):
        return ""
    # Imported where it is needed: a board that makes no mistakes should not wait for it.
    import difflib

    found = difflib.get_close_matches(word, list(known), n=1)
    return f" Did you mean {found[0]!r}?" if found else ""


def printable(text: str, *, keep: str = "") -> str:
    """`text` on one line that steers no terminal: names in files can hold anything.

    Control characters, line breaks and marks that turn the direction of writing are spelt out, as
    Python writes them in its strings; those in `keep` stay.
    """
    steering = unprintable(text).difference(keep)
    return text.translate({ord(char): char.encode("unicode_escape").decode() for char in steering})


def unprintable(text: str) -> set[str]:
    """The characters of `text` that would steer a terminal, line breaks included."""
    return set() if text.isprintable() else {char for char in set(text) if not char.isprintable()}


def one_line(error: BaseException, limit: int = 400) -> str:
    """What another library's exception says, on one line without colours, cut in its middle."""
    text = " ".join(re.sub(r"\x1b\[[0-9;]*m", "", str(error)).split())
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]} … {text[-half:]}"


def placed(path: Any, error: BaseException) -> str:
    """What an error of edgekit's own says, behind the name of the file that it is about; never twice."""
    text, name = str(error), f"{path}: "
    return text if text.startswith(printable(name)) else f"{name}{text}"


def wrong_ending(path: Any, ending: str, expected: Iterable[str], more: str = "") -> UsageError:
    """For a file whose name ends otherwise than what is read: ``"m.txt: received the ending '.txt', ..."``.

    Args:
        expected: the endings that are read.
        more: what else is, such as ``" or a folder"``.
    """
    received = f"the ending {ending!r}" if ending else "no ending"
    return UsageError(f"{path}: received {received}, expected one of {', '.join(expected)}{more}.")


def require(module: str, extra: str, purpose: str) -> ModuleType:
    """Import `module`, or say which extra brings it.

    TensorFlow comes with its oneDNN kernels where the environment does not say otherwise.

    Raises:
        MissingDependencyError: the module, or one it imports, is not installed.
    """
    if module.partition(".")[0] in _IMPORT_TENSORFLOW:
        os.environ.setdefault(ONEDNN, "1")
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"{purpose} needs the package {error.name!r}, which is not installed. "
            f"Install it with: {pip_install(extra)}"
        ) from error
