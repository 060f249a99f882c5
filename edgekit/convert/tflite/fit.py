"""The fit in TFLite files: layers whose weights are integers, read from a file and written into it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.calibration.fitting import fitted
from edgekit.calibration.frontier import Key
from edgekit.calibration.layer_fit import Fitted, Sums
from edgekit.calibration.lost import judged_at
from edgekit.calibration.mixed import Attempt
from edgekit.calibration.probes import TfliteProbe
from edgekit.calibration.rounding import are_shared
from edgekit.calibration.sequence import Layer
from edgekit.calibration.windows import Window
from edgekit.convert.tflite.bias_correction import correct_biases
from edgekit.convert.tflite.path import TflitePath
from edgekit.convert.tflite.short_scales import BITS
from edgekit.errors import ExportError, one_line
from edgekit.formats import tflite_schema as schema
from edgekit.formats.graph import Graph
from edgekit.formats.model_file import ModelFile
from edgekit.formats.tflite import model_of
from edgekit.formats.tflite_file import TfliteFile, TfliteOperator, TfliteTensor
from edgekit.formats.tflite_patch import BIASES, KernelIntegers, write_rounded
from edgekit.manifest import Fit
from edgekit.samples import Samples
from edgekit.tensor import QuantParams, quantize

_DTYPES = {"int8": np.int8, "uint8": np.uint8, "int16": np.int16}
_LARGEST = {"int8": 127, "uint8": 255, "int16": 32767}
_INFINITE = (-np.inf, np.inf)
_CLIPS = {
    schema.ActivationFunctionType.NONE: _INFINITE,
    schema.ActivationFunctionType.RELU: (0.0, np.inf),
    schema.ActivationFunctionType.RELU_N1_TO_1: (-1.0, 1.0),
    schema.ActivationFunctionType.RELU6: (0.0, 6.0),
}
_ACTIVATION_FIELDS = {
    "CONV_2D": schema.Conv2DOptions.FUSED_ACTIVATION_FUNCTION,
    "DEPTHWISE_CONV_2D": schema.DepthwiseConv2DOptions.FUSED_ACTIVATION_FUNCTION,
    "FULLY_CONNECTED": schema.FullyConnectedOptions.FUSED_ACTIVATION_FUNCTION,
    "TRANSPOSE_CONV": schema.Conv2DOptions.FUSED_ACTIVATION_FUNCTION,
}
# Scales to try, as multiples of the smallest that holds the largest weight: with seven steps on either side one that
# cuts the largest may lose less.
_OF_FOUR_BITS = (1.0, 0.9, 0.8, 0.7, 0.6)
# Operators that a file keeps something in from one inference to the next.
_WITH_STATE = frozenset({"CALL_ONCE", "VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE"})


def fitted_tflite(
    made: ModelFile,
    float_file: TfliteFile,
    samples: Samples,
    seed: int,
    quality: str = "default",
) -> tuple[ModelFile, Fit]:
    """A quantised file whose layers are fitted to the float file, and what the manifest says of it.

    Args:
        made: of `float_file`, with scales of its own.
        float_file: has the same layers, under the same names.
        samples: to fit to, under the files' input names.
        seed: of the choice of samples and of places.
        quality: of `edgekit.recipe.QUALITIES`.
    """
    model = model_of(float_file)
    graph = model.graphs[model.main]
    try:
        before = _attempt(made, graph)
        best, about = fitted(
            graph,
            lambda names: TfliteProbe(float_file, names),
            before,
            lambda: _Fitting(_changeable(made.tflite), float_file, graph, samples, seed),
            samples,
            seed,
            quality,
        )
    except (ExportError, RuntimeError, ValueError) as error:
        return made, Fit(reason=f"the interpreter does not run it in parts: {one_line(error)}")
    return best.made, about


def _changeable(file: TfliteFile) -> TfliteFile:
    return file.over(bytearray(file.content))


def _attempt(file: ModelFile, graph: Graph) -> Attempt:
    """The file, so that it shows what it is judged at."""
    ends = {tensor.name for tensor in judged_at(graph)}
    return Attempt(file, TfliteProbe(file.tflite, ends), {}, {})


class _Fitting:
    """`edgekit.calibration.fitting.Fitting`."""

    def __init__(
        self,
        file: TfliteFile,
        float_file: TfliteFile,
        model: Graph,
        samples: Samples,
        seed: int,
    ) -> None:
        self._file, self._float_file, self._model = file, float_file, model
        self._samples, self._seed = samples, seed
        self.layers: list[Layer] = []
        graph = file.graphs[0]
        if any(operator.op in _WITH_STATE for operator in graph.operators):
            return
        steps = TflitePath(file)
        self.path = steps.path
        own = _Uses(file)
        plain = {
            float_file.graphs[0].tensors[each.outputs[0]].name: each
            for each in float_file.graphs[0].operators
            if each.op in _ACTIVATION_FIELDS
        }
        for place, operator in enumerate(graph.operators):
            if operator.op in _ACTIVATION_FIELDS and place in steps.numbers:
                theirs = plain.get(graph.tensors[operator.outputs[0]].name)
                if theirs is not None and theirs.op == operator.op:
                    found = _Operator(file, float_file, operator, theirs, steps.unpacked)
                    layer = found.layer(steps.numbers[place], own)
                    self.layers += [layer] if layer else []

    def begin(self, inputs: dict[str, NDArray[Any]]) -> dict[Key, NDArray[Any]]:
        graph = self._file.graphs[0]
        (signature,) = self._file.signatures
        found: dict[Key, NDArray[Any]] = {}
        for name, i in signature.inputs.items():
            tensor = graph.tensors[i]
            grid = _grid(tensor)
            if grid is None:
                found[i] = inputs[name].astype(tensor.dtype, copy=False)
            else:
                found[i] = quantize(inputs[name], grid, _DTYPES[tensor.dtype])
        return found

    def finished(self) -> Attempt:
        correct_biases(self._file, self._float_file, self._samples, self._seed)
        return _attempt(ModelFile.of_tflite(self._file), self._model)


class _Uses:
    """How many operators read each constant."""

    def __init__(self, file: TfliteFile) -> None:
        self._counts: Counter[int] = Counter(
            graph.tensors[i].buffer_index
            for graph in file.graphs
            for operator in graph.operators
            for i in operator.inputs
            if i >= 0
        )

    def once(self, tensor: TfliteTensor) -> bool:
        return self._counts[tensor.buffer_index] == 1


@dataclass(frozen=True)
class _Operator:
    """A layer in both files."""

    file: TfliteFile
    float_file: TfliteFile
    operator: TfliteOperator
    theirs: TfliteOperator
    unpacked: dict[int, int]

    def layer(self, at: int, uses: _Uses) -> Layer | None:
        """The layer; None if its weights are no integers, or others read its bias."""
        tensors, plain = self.file.graphs[0].tensors, self.float_file.graphs[0].tensors
        given, kernel_place, *rest = self._roles(self.operator)
        kernel = tensors[self.unpacked.get(kernel_place, kernel_place)]
        source, exact_place, *exact_rest = self._roles(self.theirs)
        exact = plain[exact_place]
        floats = exact.constant("<f4")
        held = KernelIntegers.of(kernel)
        if held is None or held.count != floats.count:
            return None
        bias = tensors[rest[0]] if rest and rest[0] >= 0 else None
        if bias is not None and not (_numbers(bias).count and uses.once(bias)):
            return None
        made = tensors[self.operator.outputs[0]]
        grid, out = _grid(tensors[given]), _grid(made)
        weights = self.columns(floats.of(self.float_file.content).reshape(exact.shape))
        biases: NDArray[np.float64] = np.zeros((weights.shape[0], weights.shape[2]))
        if bias is not None:
            theirs = plain[exact_rest[0]].constant("<f4").of(self.float_file.content)
            biases = theirs.astype(np.float64).reshape(biases.shape)
        step = float(grid.scale[0]) if grid else 1.0
        scales = kernel.scales
        fixed = are_shared(weights) or not uses.once(kernel)

        def sums() -> Sums:
            now = scales.of(self.file.content)
            return Sums(
                weights.astype(np.float64),
                self.columns(held.read(self.file.content).reshape(kernel.shape)).astype(float),
                np.resize(now, biases.size).reshape(len(weights), 1, -1),
                step,
                biased=bias is not None,
                bound=scales.count == 1,
                fixed=fixed,
                clip=self.clip,
                largest=held.largest,
                factors=_OF_FOUR_BITS if held.bits == 4 else (1.0,),
                digits=BITS,
            )

        def write(fitted: Fitted) -> None:
            content = self.file.content
            held.write(content, self.flat(fitted.integers))
            if scales.count > 1:
                scales.of(content)[:] = fitted.scales.ravel()
            if bias is None:
                return
            numbers = _numbers(bias).of(content)
            if bias.dtype == "float32":
                numbers[:] = fitted.bias.ravel()
                return
            short = bias.scales.of(content)
            short[:] = np.float32(step) * scales.of(content)
            write_rounded(fitted.bias.ravel() / short.astype(np.float64), numbers)

        return Layer(
            name=made.name,
            at=at,
            given=(given, plain[source].name),
            # Where a kernel is turned into floats, nothing rounds what it gives.
            made=None if kernel_place in self.unpacked else self.operator.outputs[0],
            top=float((_LARGEST[made.dtype] - out.zero_point[0]) * out.scale[0]) if out else np.inf,
            window=self.window,
            seen=self.seen,
            zero=float(grid.zero_point[0]) if grid else 0.0,
            weights=weights.astype(np.float64),
            bias=biases,
            sums=sums,
            write=write,
        )

    @staticmethod
    def _roles(operator: TfliteOperator) -> tuple[int, ...]:
        """What an operator takes, its kernel, and its bias if it has one."""
        if operator.op == "TRANSPOSE_CONV":
            _, kernel, given, *bias = operator.inputs
            return given, kernel, *bias
        return operator.inputs

    @property
    def clip(self) -> tuple[float, float]:
        field, options = _ACTIVATION_FIELDS[self.operator.op], self.operator.options
        number = options.number(field, "b") if options else schema.ActivationFunctionType.NONE
        return _CLIPS.get(number, _INFINITE)

    @cached_property
    def window(self) -> Window | None:
        if self.operator.op == "FULLY_CONNECTED":
            return None
        options, tensors = self.operator.options, self.file.graphs[0].tensors
        assert options is not None, "a convolution without options is refused when a file is read"
        depthwise = self.operator.op == "DEPTHWISE_CONV_2D"
        own = schema.DepthwiseConv2DOptions if depthwise else schema.Conv2DOptions
        given, kernel, *_ = self._roles(self.operator)
        _, *size, inputs = tensors[kernel].shape
        channels = tensors[given].shape[-1]
        same = options.number(own.PADDING, "b") == schema.Padding.SAME
        strides = tuple(options.number(field, "i", 1) for field in (own.STRIDE_H, own.STRIDE_W))
        if self.operator.op == "TRANSPOSE_CONV":
            made = tensors[self.operator.outputs[0]].shape[1:3]
            return _transposed(tuple(size), strides, tensors[given].shape[1:3], made, same)
        return Window(
            channels if depthwise else channels // inputs,
            tuple(size),
            strides,
            tuple(
                options.number(field, "i", 1)
                for field in (own.DILATION_H_FACTOR, own.DILATION_W_FACTOR)
            ),
            (0, 0),
            (0, 0),
            "SAME_UPPER" if same else "",
        )

    def seen(self, values: NDArray[Any]) -> NDArray[Any]:
        """What the layer is given, as `edgekit.calibration.windows` takes it."""
        return values if self.window else values.reshape(-1, self._summed)

    @cached_property
    def _summed(self) -> int:
        """How many weights a sum of a dense layer has."""
        return int(self.file.graphs[0].tensors[self.operator.inputs[1]].shape[-1])

    @property
    def groups(self) -> int:
        window = self.window
        return window.groups if window else 1

    def columns(self, kernel: NDArray[Any]) -> Any:
        """A kernel as (groups, (places, inputs of a group), outputs of a group)."""
        if self.operator.op == "DEPTHWISE_CONV_2D":
            return kernel.reshape(-1, self.groups, kernel.shape[-1] // self.groups).transpose(
                1, 0, 2
            )
        if self.operator.op == "TRANSPOSE_CONV":
            kernel = kernel[:, ::-1, ::-1]
        rows = kernel.reshape(self.groups, len(kernel) // self.groups, -1)
        return rows.transpose(0, 2, 1)

    def flat(self, columns: NDArray[Any]) -> Any:
        """Undo `columns`, and lay all values in a row."""
        if self.operator.op == "DEPTHWISE_CONV_2D":
            return columns.transpose(1, 0, 2).ravel()
        rows = columns.transpose(0, 2, 1)
        if self.operator.op == "TRANSPOSE_CONV":
            shape = self.file.graphs[0].tensors[self.operator.inputs[1]].shape
            rows = rows.reshape(shape)[:, ::-1, ::-1]
        return rows.ravel()


def _transposed(
    kernel: tuple[int, ...],
    strides: tuple[int, ...],
    given: tuple[int, ...],
    made: tuple[int, ...],
    same: bool,
) -> Window:
    """A transposed convolution: one of the turned kernel over values that lie as far apart as its strides.

    Args:
        kernel, strides: its own.
        given, made: the sizes of what it takes and gives.
        same: whether as much is cut off its edges as one in the other direction would pad there.
    """
    axes = list(zip(kernel, strides, given, made, strict=True))
    cut = [max(0, (size - 1) * step + k - end) // 2 if same else 0 for k, step, size, end in axes]
    before = [k - 1 - less for (k, *_), less in zip(axes, cut, strict=True)]
    after = [
        end + k - 1 - ((size - 1) * step + 1) - edge
        for (k, step, size, end), edge in zip(axes, before, strict=True)
    ]
    return Window(1, kernel, (1, 1), (1, 1), tuple(before), tuple(after), apart=tuple(strides))


def _numbers(bias: TfliteTensor) -> Any:
    """Where a bias lies; of nothing if it is computed."""
    return bias.constant("<f4" if bias.dtype == "float32" else BIASES[bias.dtype])


def _grid(tensor: TfliteTensor) -> QuantParams | None:
    """How integers stand for a tensor's values; None if it is of floats."""
    content = tensor.table.data
    scales = tensor.scales.of(content)
    if tensor.dtype not in _DTYPES or len(scales) != 1:
        return None
    zeros = tensor.zero_points.of(content)
    return QuantParams((float(scales[0]),), (int(zeros[0]) if len(zeros) else 0,))
