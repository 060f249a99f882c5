"""Inferring: what the helpers around one inference need of a runner."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgekit.artifact import Artifact
    from edgekit.formats.metadata import Metadata
    from edgekit.tensor import TensorSpec

    Arrays = Mapping[str, NDArray[Any]]
    Results = dict[str, NDArray[Any]]


class Inferring(Protocol):
    """A runner, as `edgekit.runtime.runner.Runner` defines it; this file knows nothing of that one."""

    artifact: Artifact
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    @property
    def metadata(self) -> Metadata: ...

    def infer(self, inputs: Arrays) -> Results: ...

    def preprocess(self, inputs: Arrays) -> Results: ...

    def reset(self) -> None: ...

    def _carried(self) -> AbstractContextManager[None]: ...

    def _keeps_state(self) -> bool: ...

    def _twin(self) -> AbstractContextManager[Inferring]: ...
