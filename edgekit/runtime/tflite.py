"""TFLite files on ai-edge-litert, tflite-runtime or TensorFlow's own interpreter."""

from __future__ import annotations

import ctypes
import importlib
import os
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from edgekit.artifact import Artifact, HeldArtifact
from edgekit.errors import ArtifactError, TensorError, UsageError
from edgekit.runtime.options import NO_DELEGATE, REFERENCE
from edgekit.runtime.runner import Backend, Runner
from edgekit.tensor import QuantParams, TensorSpec

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from edgekit.formats.metadata import Metadata
    from edgekit.runtime.shapes import Shapes

# Backend name: the module that holds `Interpreter`, the distribution that brings it.
_SOURCES = {
    "litert": ("ai_edge_litert.interpreter", "ai-edge-litert"),
    "tflite-runtime": ("tflite_runtime.interpreter", "tflite-runtime"),
    "tensorflow": ("tensorflow.lite.python.interpreter", "tensorflow"),
}
# Of `OpResolverType`, by delegate.
_KERNELS = {NO_DELEGATE: "BUILTIN_WITHOUT_DEFAULT_DELEGATES", REFERENCE: "BUILTIN_REF"}


class TfliteRunner(Runner):
    """A ``.tflite`` file.

    Tensors carry the names of the file's signature; a file without signatures gives its tensors'
    own names.
    """

    backend_names: ClassVar[tuple[str, ...]] = tuple(_SOURCES)

    def _open(self, backend: str) -> tuple[Backend, tuple[str, ...]]:
        module, self._distribution = _SOURCES[backend]
        self._make = self._maker(importlib.import_module(module))
        try:
            self._interpreter = self._started()
            signatures = tuple(self._interpreter.get_signature_list())
        except (ValueError, RuntimeError) as error:
            raise self._unloadable(error) from error
        # Whether variables are set to zeros before an inference: asked when there was one before.
        self._forgets: bool | None = None
        self._used = False
        # Asking the installed metadata would cost a cold start more than all else here.
        version = importlib.import_module(module.split(".")[0]).__version__
        return Backend(backend, version), signatures

    def _started(self) -> Any:
        """A new interpreter of the file."""
        interpreter = self._make()
        # Each signature has a graph of its own, and one that is called allocates it itself.
        if len(interpreter.get_signature_list()) < 2:
            if any(-1 in row["shape_signature"][1:] for row in interpreter.get_input_details()):
                from edgekit.runtime.shapes import allocated

                return allocated(self._make)
            interpreter.allocate_tensors()
        return interpreter

    def _maker(self, module: Any) -> Callable[[], Any]:
        """What makes an interpreter of the file, with the delegate that the options name."""
        options = self.options
        if options.weight_cache:
            raise UsageError(
                f"weight_cache: {self._distribution}'s interpreter has none. The backend "
                "litert-compiled has."
            )
        make = partial(
            module.Interpreter,
            **model_of(self.artifact),
            num_threads=options.threads,
        )
        if options.delegate is None:
            return make
        if options.delegate in _KERNELS:
            kernels = getattr(module.OpResolverType, _KERNELS[options.delegate])
            return partial(make, experimental_op_resolver_type=kernels)
        try:
            # First by hand: load_delegate leaves a half-made object behind, which complains.
            entry = ctypes.PyDLL(options.delegate).tflite_plugin_create_delegate
            delegate = module.load_delegate(options.delegate, dict(options.delegate_options))
            del entry
        # A library without the entry point is an AttributeError.
        except (OSError, ValueError, AttributeError) as error:
            raise UsageError(
                f"delegate {options.delegate!r}: cannot be loaded: {error}. Expected 'none', 'reference', or a "
                "shared library of a TFLite delegate that is installed here."
            ) from error
        return partial(make, experimental_delegates=[delegate])

    def _choose(
        self, signature: str | None
    ) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
        self._call: Any = None
        if signature is None:
            inputs = {d["name"]: d for d in self._interpreter.get_input_details()}
            outputs = {d["name"]: d for d in self._interpreter.get_output_details()}
        else:
            try:
                call = self._interpreter.get_signature_runner(signature)
                inputs, outputs = call.get_input_details(), call.get_output_details()
            except (ValueError, RuntimeError) as error:
                raise self._unloadable(error) from error
            # Kept, it would block the interpreter's own invoke(), which is faster than it.
            if len(self.signatures) > 1:
                self._call = call
            else:
                # A signature's names come sorted, the graph's tensors as the model has them.
                inputs = _in_order(inputs, self._interpreter.get_input_details())
                outputs = _in_order(outputs, self._interpreter.get_output_details())
        self._input_indices = [detail["index"] for detail in inputs.values()]
        self._output_indices = [detail["index"] for detail in outputs.values()]
        specs = tuple(spec_of(name, detail) for name, detail in inputs.items())
        results = tuple(spec_of(name, detail) for name, detail in outputs.items())
        plain = self._call is None and len(results) == 1 and results[0].shape != ()
        self._single = plain and len(inputs) == 1
        self._shapes: Shapes | None = None
        if self._call is None and any(None in spec.shape for spec in specs):
            from edgekit.runtime.shapes import Shapes

            first = tuple(tuple(int(n) for n in d["shape"]) for d in inputs.values())
            self._shapes = Shapes(
                self.artifact.source, self._make, self._input_indices, self._interpreter, first
            )
        return specs, results

    def _memory(self, index: int) -> Callable[[], NDArray[Any]] | None:
        if self._call is not None or self._shapes is not None:
            return None
        memory: Callable[[], NDArray[Any]] = self._interpreter.tensor(self._input_indices[index])
        return memory

    def _run(self, arrays: list[Any]) -> list[NDArray[Any]]:
        if self._shapes is not None:
            self._interpreter = self._shapes.interpreter([x.shape for x in arrays])
        if self._forgets is not False and not self._carrying:
            self._forget()
        if self._call is not None:
            names = (spec.name for spec in self.inputs)
            results = self._call(**dict(zip(names, arrays)))
            return [np.asarray(results[spec.name]) for spec in self.outputs]
        interpreter = self._interpreter
        if self._single:
            # Most models: half a microsecond of loops saved, where some need but two themselves.
            if arrays[0] is not None:
                interpreter.set_tensor(self._input_indices[0], arrays[0])
            interpreter.invoke()
            return [interpreter.get_tensor(self._output_indices[0])]
        for index, x in zip(self._input_indices, arrays):
            if x is not None:
                interpreter.set_tensor(index, x)
        interpreter.invoke()
        # What has no axes it gives as a number.
        return [np.asarray(interpreter.get_tensor(index)) for index in self._output_indices]

    def _forget(self) -> None:
        """Before an inference that begins anew: zeros where the last one's sequence left its state."""
        if self._used and self._forgets is None:
            self._forgets = self._reads_sequences()
        if self._used and self._forgets:
            self._interpreter.reset_all_variables()
        self._used = True

    def _reads_sequences(self) -> bool:
        from edgekit.formats.tflite_state import reads_sequences

        return reads_sequences(self.artifact.source)

    def _read_metadata(self) -> Metadata | None:
        from edgekit.formats.metadata import read_tflite

        return read_tflite(self.artifact.source, self.artifact.file)

    def _keeps_state(self) -> bool:
        from edgekit.formats.tflite_state import state_of

        return any(state_of(self.artifact.source)) and not self._reads_sequences()

    def _reset(self) -> None:
        from edgekit.formats.tflite_state import state_of

        if not state_of(self.artifact.source).resources:
            self._interpreter.reset_all_variables()
            return
        # Resources are written to when an interpreter first runs, and no call sets them back.
        self._rebind(_interpreter=self._started())

    def _close(self) -> None:
        self._call = self._shapes = None
        del self._interpreter

    def _unloadable(self, error: Exception) -> ArtifactError:
        from edgekit.runtime.causes import explained

        return ArtifactError(
            f"{self.artifact.path}: {self._distribution} cannot load it: "
            f"{explained(error, '.tflite')}"
        )


def model_of(artifact: Artifact) -> dict[str, Any]:
    """The words by which an interpreter is told of a file."""
    if isinstance(artifact, HeldArtifact):
        return {"model_content": artifact.content}
    return {"model_path": native_path(artifact.file)}


def native_path(file: str) -> str | bytes:
    """What interpreters written in C++ take: a text, or the bytes of a name that is not UTF-8."""
    try:
        file.encode()
    except UnicodeEncodeError:
        return os.fsencode(file)
    return file


def _in_order(named: dict[str, Any], details: list[dict[str, Any]]) -> dict[str, Any]:
    """Descriptions of tensors by name, in the order of `details`; what is not among them last."""
    # A tensor that is there twice stands at its first place.
    places = {detail["index"]: place for place, detail in reversed(list(enumerate(details)))}
    last = len(details)
    return dict(sorted(named.items(), key=lambda item: places.get(item[1]["index"], last)))


def spec_of(name: str, detail: dict[str, Any]) -> TensorSpec:
    """The tensor that an interpreter describes as `detail`.

    Raises:
        ArtifactError: its scales run along an axis that has not as many places, or are none.
    """
    # Interpreters give a signature of the shape with -1 for dynamic dimensions; [] means there are none.
    signature = detail.get("shape_signature")
    shape = signature if signature is not None and len(signature) else detail["shape"]
    dtype = np.dtype(detail["dtype"])
    sizes = [None if n < 0 else int(n) for n in shape]
    known = _quantization(name, detail)
    if known is not None and known.axis is not None:
        places = sizes[known.axis] if 0 <= known.axis < len(sizes) else 0
        if places not in (None, len(known.scale)):
            raise ArtifactError(
                f"tensor {name!r}: received {len(known.scale)} scales along axis {known.axis} of "
                f"{sizes}, expected one for each place. The file is damaged: make it again."
            )
        # A dynamic dimension has as many places as it has scales.
        sizes[known.axis] = len(known.scale)
    return TensorSpec(
        name=name,
        # Texts of any length: numpy has no other word for them.
        dtype="object" if dtype.kind == "S" else dtype.name,
        shape=tuple(sizes),
        quantization=known,
    )


def _quantization(name: str, detail: dict[str, Any]) -> QuantParams | None:
    parameters = detail["quantization_parameters"]
    scales = tuple(float(s) for s in parameters["scales"])
    # Some converters leave scales on tensors that hold floats.
    if not scales or np.dtype(detail["dtype"]).kind not in "iu":
        return None
    try:
        return QuantParams(
            scale=scales,
            zero_point=tuple(int(z) for z in parameters["zero_points"]),
            axis=int(parameters["quantized_dimension"]) if len(scales) > 1 else None,
        )
    except TensorError as error:
        raise ArtifactError(f"tensor {name!r}: {error}") from error
