"""TFLite files on ai-edge-litert, tflite-runtime or TensorFlow's own interpreter."""

from __future__ import annotations

import importlib
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from edgekit.errors import ArtifactError
from edgekit.runtime.runner import Backend, Runner
from edgekit.tensor import QuantParams, TensorSpec

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgekit.metadata import Metadata

# Backend name: the module that holds `Interpreter`, the distribution that brings it.
_SOURCES = {
    "litert": ("ai_edge_litert.interpreter", "ai-edge-litert"),
    "tflite-runtime": ("tflite_runtime.interpreter", "tflite-runtime"),
    "tensorflow": ("tensorflow.lite.python.interpreter", "tensorflow"),
}


class TfliteRunner(Runner):
    """A ``.tflite`` file.

    Tensors carry the names of the file's signature (``serving_default``, or its only one);
    a file without signatures gives its tensors' own names.
    """

    backend_names = tuple(_SOURCES)

    def _open(self, backend: str) -> tuple[Backend, tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
        module, distribution = _SOURCES[backend]
        self._make = partial(
            importlib.import_module(module).Interpreter,
            model_path=str(self.artifact.path),
            num_threads=self.threads,
        )
        try:
            self._interpreter = self._make()
            self._interpreter.allocate_tensors()
            inputs, outputs = self._details()
        except (ValueError, RuntimeError) as error:
            raise ArtifactError(
                f"{self.artifact.path}: {distribution} cannot load it: {error}. Is it a whole "
                ".tflite file, and is the interpreter new enough for its operators?"
            ) from error
        self._input_indices = [detail["index"] for detail in inputs.values()]
        self._output_indices = [detail["index"] for detail in outputs.values()]
        self._shapes: list[tuple[int, ...]] | None = [
            tuple(int(n) for n in detail["shape"]) for detail in inputs.values()
        ]
        # Asking the installed metadata would cost a cold start more than all else here.
        version = importlib.import_module(module.split(".")[0]).__version__
        specs = tuple(_spec(name, detail) for name, detail in inputs.items())
        self._single = len(inputs) == len(outputs) == 1
        self._open_axes = any(None in spec.shape for spec in specs)
        return (
            Backend(backend, version),
            specs,
            tuple(_spec(name, detail) for name, detail in outputs.items()),
        )

    def _details(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The interpreter's details of each input and output, by name, in a stable order."""
        signatures = self._interpreter.get_signature_list()
        if not signatures:
            return (
                {detail["name"]: detail for detail in self._interpreter.get_input_details()},
                {detail["name"]: detail for detail in self._interpreter.get_output_details()},
            )
        key = "serving_default" if "serving_default" in signatures else next(iter(signatures))
        signature = self._interpreter.get_signature_runner(key)
        return signature.get_input_details(), signature.get_output_details()

    def _run(self, arrays: list[NDArray[Any]]) -> list[NDArray[Any]]:
        if self._open_axes:
            shapes = [x.shape for x in arrays]
            if shapes != self._shapes:
                self._resize(shapes)
        interpreter = self._interpreter
        if self._single:
            # Most models: half a microsecond of loops saved, where some need but two themselves.
            interpreter.set_tensor(self._input_indices[0], arrays[0])
            interpreter.invoke()
            return [interpreter.get_tensor(self._output_indices[0])]
        for index, x in zip(self._input_indices, arrays):
            interpreter.set_tensor(index, x)
        interpreter.invoke()
        return [interpreter.get_tensor(index) for index in self._output_indices]

    def _resize(self, shapes: list[tuple[int, ...]]) -> None:
        if self._shapes is None:
            # The file refused the last shapes half-way. tflite-runtime 2.14 crashes the process
            # when such an interpreter is used again.
            self._interpreter = self._make()
        self._shapes = None
        for index, shape in zip(self._input_indices, shapes, strict=True):
            self._interpreter.resize_tensor_input(index, shape)
        self._interpreter.allocate_tensors()
        self._shapes = shapes

    def _read_metadata(self) -> Metadata | None:
        from edgekit.metadata import read_tflite

        return read_tflite(self.artifact.path)

    def _reset(self) -> None:
        self._interpreter.reset_all_variables()

    def _close(self) -> None:
        del self._interpreter


def _spec(name: str, detail: dict[str, Any]) -> TensorSpec:
    # Interpreters give a signature of the shape with -1 for open axes; [] means there are none.
    signature = detail.get("shape_signature")
    shape = signature if signature is not None and len(signature) else detail["shape"]
    return TensorSpec(
        name=name,
        dtype=np.dtype(detail["dtype"]).name,
        shape=tuple(None if n < 0 else int(n) for n in shape),
        quantization=_quantization(detail),
    )


def _quantization(detail: dict[str, Any]) -> QuantParams | None:
    parameters = detail["quantization_parameters"]
    scales = tuple(float(s) for s in parameters["scales"])
    # Some converters leave scales on tensors that hold floats.
    if not scales or np.dtype(detail["dtype"]).kind not in "iu":
        return None
    return QuantParams(
        scale=scales,
        zero_point=tuple(int(z) for z in parameters["zero_points"]),
        axis=int(parameters["quantized_dimension"]) if len(scales) > 1 else None,
    )
