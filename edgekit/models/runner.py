"""The original model as a Runner, so that it is run, timed and compared like the files made from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from edgekit.errors import EdgekitError, UsageError, require
from edgekit.formats.metadata import Metadata
from edgekit.models.imports import import_files
from edgekit.models.kernels import kernels_asked_of, said
from edgekit.models.loading import load, load_saved_model
from edgekit.models.metadata import read
from edgekit.models.normalisation import first_statistics
from edgekit.models.objects import ModelObject, from_object
from edgekit.models.source import from_saved_model
from edgekit.runtime.runner import Backend, Runner
from edgekit.tensor import TensorSpec


class KerasRunner(Runner):
    """A ``.keras`` or HDF5 file, a SavedModel folder, or a model object, compiled with `tf.function`.

    That is the fastest way TensorFlow offers to call a model again and again on a CPU.
    `threads` is TensorFlow's own affair: it is set for the process, before its first work.
    """

    backend_names: ClassVar[tuple[str, ...]] = ("keras",)
    # TensorFlow's threads are gone there, and it waits for them.
    survives_forks: ClassVar[bool] = False

    def _open(self, backend: str) -> tuple[Backend, tuple[str, ...]]:
        tf = require("tensorflow", "export", "Running a Keras model")
        if self.options.weight_cache or self.options.delegate is not None:
            raise UsageError("delegate, weight_cache: TensorFlow takes none. Leave them out.")
        self._tf, self._loaded = tf, None
        import_files(self.options.imports)
        if isinstance(self.artifact, ModelObject):
            self._source = from_object(self.artifact.model)
        elif self.artifact.format == "savedmodel":
            self._loaded = load_saved_model(self.artifact.path, self.options.trust_code)
            return Backend(backend, tf.__version__), tuple(self._loaded.signatures)
        else:
            self._source = load(self.artifact.path, trust_code=self.options.trust_code)
        flavour = self._source.flavour
        version = require(flavour, "export", "Running a Keras model").__version__
        return Backend(backend, version if flavour == "keras" else f"{version} ({flavour})"), ()

    def _choose(
        self, signature: str | None
    ) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
        if self._loaded is not None:
            self._source = from_saved_model(self.artifact.path, self._loaded, signature)
        source = self._source
        names = [spec.name for spec in source.inputs]
        output_names = [spec.name for spec in source.outputs]

        def flat(*tensors: Any) -> list[Any]:
            results = source.call(dict(zip(names, tensors, strict=True)))
            return [results[name] for name in output_names]

        self._function = self._tf.function(flat, reduce_retracing=True)
        return tuple(map(_as_numpy, source.inputs)), tuple(map(_as_numpy, source.outputs))

    def _run(self, arrays: list[Any]) -> list[NDArray[Any]]:
        tensors = [
            self._tf.constant(x, spec.dtype)
            for x, spec in zip(arrays, self._source.inputs, strict=True)
        ]
        try:
            with kernels_asked_of(self.artifact.name):
                results = self._function(*tensors)
        except (EdgekitError, MemoryError):
            raise
        # Ids beyond a table, sizes that do not go together, too little memory; when they are traced, layers
        # and functions of damaged files raise whatever they like.
        except Exception as error:
            raise self._failed(RuntimeError(said(error))) from error
        # numpy() shares memory with a tensor that nobody else holds.
        return [np.asarray(result) for result in results]

    def _read_metadata(self) -> Metadata | None:
        return self._source.metadata if self._loaded is None else read(self.artifact.path)

    def normalisation(self, inputs: Mapping[str, NDArray[Any]]) -> tuple[str, float, float] | None:
        return first_statistics(self._source, inputs)

    def _keeps_state(self) -> bool:
        return bool(self._source.states)

    def _reset(self) -> None:
        self._source.reset()

    def _close(self) -> None:
        del self._function, self._source, self._loaded


def _as_numpy(spec: TensorSpec) -> TensorSpec:
    """Texts of any length are objects: numpy has no other word for them."""
    return replace(spec, dtype="object") if spec.dtype == "string" else spec
