"""TFLite files on LiteRT's CompiledModel, which can keep XNNPACK's packed weights on disk."""

from __future__ import annotations

import importlib
import math
import platform
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from edgekit.artifact import HeldArtifact
from edgekit.errors import ArtifactError, UsageError
from edgekit.formats.tflite_state import state_of
from edgekit.runtime.linux import ROOT, cpu_features, cpu_name
from edgekit.runtime.runner import Backend, Runner
from edgekit.runtime.tflite import model_of, native_path, spec_of
from edgekit.tensor import TensorSpec

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from edgekit.formats.metadata import Metadata

# What its buffers can hold.
_DTYPES = ("float32", "float16", "int32", "int8", "uint8", "bool")
# What ai-edge-litert 2.2 and 2.3 build its code with on 64-bit Arm: atomic instructions of Armv8.1 (LSE). A process that
# meets them on a Cortex-A53 or A72 (Raspberry Pi 3, Zero 2 W, 4) ends with SIGILL.
_NEEDED_ON_ARM = "atomics"
# Its name for the only way into a file without signatures.
_UNNAMED = "<placeholder signature>"


def lacking(root: Path = ROOT) -> str:
    """Why a process that ran compiled models would die here; empty where nothing says so."""
    if platform.machine() != "aarch64":
        return ""
    features = cpu_features(root)
    if not features or _NEEDED_ON_ARM in features:
        return ""
    return (
        f"this processor ({cpu_name(root)}) has no atomic instructions of Armv8.1 (LSE), which ai-edge-litert's compiled "
        "models are built with: the process would die by SIGILL."
    )


class CompiledRunner(Runner):
    """A ``.tflite`` file of fixed shapes, on ai-edge-litert's newer interface.

    Slower than `TfliteRunner` by a few microseconds a call. With `Options.weight_cache` the weights
    that XNNPACK packs for this machine are written to the user's cache folder once and mapped from
    there afterwards: they are not packed again, and processes share them.
    """

    backend_names: ClassVar[tuple[str, ...]] = ("litert-compiled",)

    def _open(self, backend: str) -> tuple[Backend, tuple[str, ...]]:
        if self.options.delegate is not None:
            raise UsageError(
                "delegate: the backend litert-compiled chooses its own. Leave it out, or take litert."
            )
        if problem := lacking():
            raise UsageError(f"backend litert-compiled: {problem} Take litert.")
        package = importlib.import_module("ai_edge_litert")
        self._version: str = package.__version__
        try:
            self._model = self._started()
            self._keys = list(self._model.get_signature_list())
        except ImportError as error:
            raise UsageError(
                f"backend litert-compiled: ai-edge-litert {self._version} does not have it "
                "(2.2 and later do). Take litert."
            ) from error
        except (RuntimeError, ValueError) as error:
            raise ArtifactError(
                f"{self.artifact.path}: ai-edge-litert's CompiledModel cannot load it: {error}. Is "
                "it a whole .tflite file? The backend litert may take it."
            ) from error
        signatures = () if self._keys == [_UNNAMED] else tuple(self._keys)
        return Backend(backend, self._version), signatures

    def _started(self) -> Any:
        """A new model of the file."""
        compiled = importlib.import_module("ai_edge_litert.compiled_model")
        cpu = importlib.import_module("ai_edge_litert.cpu_options")
        grouped = importlib.import_module("ai_edge_litert.options")
        path, threads = self.artifact.path, self.options.threads
        with ExitStack() as stack:
            cache = ""
            if self.options.weight_cache:
                from edgekit.runtime.weights import packed_weights

                cache = stack.enter_context(packed_weights(path, f"litert-{self._version}"))
            options = cpu.CpuOptions(num_threads=threads, xnnpack_weight_cache_path=cache)
            chosen = grouped.Options(cpu_options=options)
            if isinstance(self.artifact, HeldArtifact):
                # It keeps no copy: the artifact holds the bytes for longer than the model lives.
                return compiled.CompiledModel.from_buffer(self.artifact.content, options=chosen)
            return compiled.CompiledModel.from_file(native_path(str(path)), options=chosen)

    def _choose(
        self, signature: str | None
    ) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
        # Its own details leave out quantisation. An interpreter that is not run knows it, for little.
        module = importlib.import_module("ai_edge_litert.interpreter")
        interpreter = module.Interpreter(**model_of(self.artifact))
        if signature is None:
            inputs = {d["name"]: d for d in interpreter.get_input_details()}
            outputs = {d["name"]: d for d in interpreter.get_output_details()}
        else:
            call = interpreter.get_signature_runner(signature)
            inputs, outputs = call.get_input_details(), call.get_output_details()
        specs = [
            tuple(spec_of(name, detail) for name, detail in side.items())
            for side in (inputs, outputs)
        ]
        for spec in (*specs[0], *specs[1]):
            if None in spec.shape or spec.dtype not in _DTYPES:
                raise ArtifactError(
                    f"{self.artifact.path}: tensor {spec.name!r} is {spec.dtype} {list(spec.shape)}; "
                    f"litert-compiled takes fixed shapes of {', '.join(_DTYPES)}. Take litert."
                )
        key = signature or _UNNAMED
        known = self._model.get_signature_list()[key]
        index = self._keys.index(key)
        self._index = index
        sources = dict(zip(known["inputs"], self._model.create_input_buffers(index), strict=True))
        sinks = dict(zip(known["outputs"], self._model.create_output_buffers(index), strict=True))
        self._sources, self._sinks = list(sources.values()), list(sinks.values())
        # In the order of the specs, which need not be that of the model.
        self._writes = [sources[spec.name].write for spec in specs[0]]
        self._reads = [
            (sinks[s.name].read, math.prod(n or 0 for n in s.shape), np.dtype(s.dtype), s.shape)
            for s in specs[1]
        ]
        return specs[0], specs[1]

    def _run(self, arrays: list[Any]) -> list[NDArray[Any]]:
        for write, x in zip(self._writes, arrays):
            write(x)
        self._model.run_by_index(self._index, self._sources, self._sinks)
        return [read(count, dtype).reshape(shape) for read, count, dtype, shape in self._reads]

    def _read_metadata(self) -> Metadata | None:
        from edgekit.formats.metadata import read_tflite

        return read_tflite(self.artifact.source, self.artifact.file)

    def _keeps_state(self) -> bool:
        return any(state_of(self.artifact.source))

    def _reset(self) -> None:
        if self._keeps_state():
            self._rebind(_model=self._started())

    def _close(self) -> None:
        self._writes, self._reads, self._sources, self._sinks = [], [], [], []
        del self._model
