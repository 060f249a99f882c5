"""Opening: a runner of whatever stands for a model, closed again if it was opened here."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, TypeAlias, cast

from edgekit.errors import UsageError
from edgekit.runtime import load
from edgekit.runtime.runner import Runner

# What a model may be given as: a runner, a path, or a Keras model object.
RunnerLike: TypeAlias = Runner | str | os.PathLike[str] | Any


@contextmanager
def opened(given: RunnerLike) -> Iterator[Runner]:
    """A runner as it is, or one for a path or a Keras model object as long as the block runs.

    Raises:
        UsageError: it is none of these, or nothing is at the path.
        ArtifactError: the file cannot be loaded.
        MissingDependencyError: nothing that runs it is installed.
    """
    # A cluster that answers as a runner does is not of that class.
    if hasattr(given, "infer_batch"):
        yield cast("Runner", given)
        return
    with load(given) as runner:
        yield runner


@contextmanager
def opened_all(given: RunnerLike | Iterable[RunnerLike]) -> Iterator[list[Runner]]:
    """As `opened`, for one or several."""
    with ExitStack() as stack:
        yield [stack.enter_context(opened(each)) for each in several(given)]


def several(given: RunnerLike | Iterable[RunnerLike]) -> list[RunnerLike]:
    """One or several as a list.

    Raises:
        UsageError: several by name: a model is called as its file.
    """
    if isinstance(given, Mapping):
        raise UsageError("models: received a dictionary, expected a model or a list of models.")
    if isinstance(given, Iterable) and not isinstance(given, (str, bytes, os.PathLike)):
        return list(given)
    return [given]
