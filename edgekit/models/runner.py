"""The original model as a Runner, so that it is run, timed and compared like the files made from it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.errors import UsageError, require
from edgekit.metadata import Metadata
from edgekit.models.loading import load
from edgekit.models.objects import ModelObject, from_object
from edgekit.runtime.runner import Backend, Runner
from edgekit.tensor import TensorSpec


class KerasRunner(Runner):
    """A ``.keras`` or HDF5 file, a SavedModel folder, or a model object, compiled with `tf.function`.

    That is the fastest way TensorFlow offers to call a model again and again on a CPU.
    `threads` is TensorFlow's own affair: it is set for the process, before its first work.
    """

    backend_names = ("keras",)

    def _open(self, backend: str) -> tuple[Backend, tuple[str, ...]]:
        tf = require("tensorflow", "export", "Running a Keras model")
        if self.options.weight_cache or self.options.delegate is not None:
            raise UsageError("delegate, weight_cache: TensorFlow takes none. Leave them out.")
        if isinstance(self.artifact, ModelObject):
            source = from_object(self.artifact.model)
        else:
            source = load(self.artifact.path, trust_code=self.options.trust_code)
        self._source = source
        self._names = [spec.name for spec in source.inputs]
        self._tf = tf
        self._dtypes = [tf.dtypes.as_dtype(spec.dtype) for spec in source.inputs]
        output_names = [spec.name for spec in source.outputs]

        def flat(*tensors: Any) -> list[Any]:
            results = source.call(dict(zip(self._names, tensors, strict=True)))
            return [results[name] for name in output_names]

        self._function = tf.function(flat, reduce_retracing=True)
        version = tf.__version__
        if source.flavour != "savedmodel":
            version = require(source.flavour, "export", "Running a Keras model").__version__
        return Backend(backend, version), ()

    def _choose(
        self,
        signature: str | None,  # noqa: ARG002
    ) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
        return self._source.inputs, self._source.outputs

    def _run(self, arrays: list[Any]) -> list[NDArray[Any]]:
        tensors = [self._tf.constant(x) for x in arrays]
        # numpy() shares memory with a tensor that nobody else holds.
        return [np.asarray(result) for result in self._function(*tensors)]

    def _read_metadata(self) -> Metadata | None:
        return self._source.metadata

    def _close(self) -> None:
        del self._function, self._source
