"""ONNX files on onnxruntime's CPU provider."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from edgekit.artifact import HeldArtifact
from edgekit.errors import ArtifactError, UsageError, nearest, require
from edgekit.formats.onnx_schema import short_names
from edgekit.runtime.onnx_session import CPU, is_exact, open_session
from edgekit.runtime.options import NO_DELEGATE
from edgekit.runtime.runner import Backend, Runner
from edgekit.tensor import TensorSpec

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgekit.formats.metadata import Metadata

_DTYPES = {
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    "tensor(float16)": "float16",
    "tensor(bool)": "bool",
    "tensor(string)": "object",
    **{f"tensor({kind}{n})": f"{kind}{n}" for kind in ("int", "uint") for n in (8, 16, 32, 64)},
}


class OnnxRunner(Runner):
    """An ``.onnx`` file. Quantised files carry their scales inside and take float themselves."""

    backend_names: ClassVar[tuple[str, ...]] = ("onnxruntime",)

    def _open(self, backend: str) -> tuple[Backend, tuple[str, ...]]:
        ort = require("onnxruntime", "onnx", "Running an .onnx file")
        if self.options.weight_cache:
            raise UsageError("weight_cache: onnxruntime has none. It is for .tflite files.")
        options = self._session_options(ort)
        providers = self._providers(ort.get_available_providers())
        artifact = self.artifact
        model = artifact.content if isinstance(artifact, HeldArtifact) else artifact.file
        try:
            self._session = open_session(model, options, providers)
        # onnxruntime's own exceptions derive from Exception alone and are not public.
        except Exception as error:
            from edgekit.runtime.causes import explained

            raise ArtifactError(
                f"{self.artifact.path}: onnxruntime cannot load it: {explained(error, '.onnx')}"
            ) from error
        self.exact: bool = is_exact(options)
        return Backend(backend, ort.__version__), ()

    def _session_options(self, ort: Any) -> Any:
        options = ort.SessionOptions()
        options.intra_op_num_threads = self.options.threads
        options.inter_op_num_threads = 1
        # Errors are raised as exceptions; the log would say them a second time on stderr.
        options.log_severity_level = 4
        return options

    def _providers(self, available: list[str]) -> list[Any]:
        """The execution provider that the options name, and the CPU's for what it leaves."""
        delegate = self.options.delegate
        if delegate in (None, NO_DELEGATE):
            return [CPU]
        if delegate not in available:
            raise UsageError(
                f"delegate {delegate!r}: the onnxruntime installed here has no such execution "
                f"provider, expected 'none' or one of {', '.join(available)}."
                f"{nearest(delegate, available)}"
            )
        return [(delegate, dict(self.options.delegate_options)), CPU]

    def _choose(
        self,
        signature: str | None,  # noqa: ARG002
    ) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        self._feed_names = [node.name for node in inputs]
        self._fetch_names = [node.name for node in outputs]
        return (
            tuple(map(self._spec, short_names(self._feed_names), inputs)),
            tuple(map(self._spec, short_names(self._fetch_names), outputs)),
        )

    def _spec(self, name: str, node: Any) -> TensorSpec:
        if node.type not in _DTYPES:
            raise ArtifactError(
                f"{self.artifact.path}: tensor {node.name!r} has type {node.type}, expected one of "
                f"{', '.join(_DTYPES)}."
            )
        return TensorSpec(
            name=name,
            dtype=np.dtype(_DTYPES[node.type]).name,
            shape=tuple(n if isinstance(n, int) else None for n in node.shape),
        )

    def _run(self, arrays: list[Any]) -> list[NDArray[Any]]:
        feed = dict(zip(self._feed_names, arrays, strict=True))
        try:
            results: list[NDArray[Any]] = self._session.run(self._fetch_names, feed)
        except Exception as error:
            raise ArtifactError(f"{self.artifact.name}: the inference failed: {error}") from error
        return results

    def _read_metadata(self) -> Metadata | None:
        from edgekit.formats.metadata import from_onnx_map

        return from_onnx_map(self._session.get_modelmeta().custom_metadata_map)

    def _close(self) -> None:
        del self._session
