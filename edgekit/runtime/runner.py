"""Runner: one loaded model file. Backends derive from it."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from edgekit.artifact import Artifact
from edgekit.errors import ArtifactError, TensorError, UsageError
from edgekit.runtime.arrange import arrange, arrange_raw, require_mapping
from edgekit.runtime.codec import Codec
from edgekit.tensor import TensorSpec

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from typing_extensions import Self

    from edgekit.metadata import Metadata

    Arrays = Mapping[str, NDArray[Any]]

# A module's name is found faster than a module's attribute.
_Array = np.ndarray

# Samples at a time where the file leaves it open: enough to be quick, too few to fill the memory.
_OPEN_BATCH = 64

# Interpreters start what they are told, and crash when the system refuses.
_MAX_THREADS = 256


@dataclass(frozen=True)
class Backend:
    """The software that runs a file: its name in edgekit and the version installed."""

    name: str
    version: str


class Runner(ABC):
    """A model file ready to run. Use `edgekit.load` to make one.

    A runner may be used from several threads: calls take turns. For parallel work
    load one runner a thread. Usable as a context manager; `close` frees the interpreter.

    Attributes:
        artifact: the file.
        backend: what runs it.
        threads: how many threads one inference may use.
        trust_code: whether code that a Keras file holds may run.
        inputs, outputs: the file's tensors, in the file's order.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    backend: Backend
    backend_names: ClassVar[tuple[str, ...]]

    def __init__(
        self, artifact: Artifact, threads: int, backend: str, trust_code: bool = False
    ) -> None:
        """Open the file with one of the backends in `backend_names`."""
        self.artifact = artifact
        self.threads = threads
        self.trust_code = trust_code
        self._lock = threading.Lock()
        self._closed = False
        self.backend, self.inputs, self.outputs = self._open(backend)
        self._encoders = [Codec(spec).encode for spec in self.inputs]
        self._decoders = [Codec(spec).decode for spec in self.outputs]
        self._output_names = [spec.name for spec in self.outputs]
        # What arrays that need no second look have: name, shape, dtype.
        self._expected = [(spec.name, spec.shape, np.dtype(spec.dtype)) for spec in self.inputs]

    def infer(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """Run the model on real values, whatever the file's dtypes are.

        Args:
            inputs: an array for each input by name, batch axis first, in the shape the
                file has (`inputs[i].shape`). Quantised inputs take real values of any
                numeric dtype; values beyond the quantised range are clipped to it.

        Returns:
            An array for each output by name; float32 where the file is quantised or float.

        Raises:
            TensorError: a name, shape, dtype or value that the input cannot take.
            ArtifactError: the interpreter failed, or the runner is closed.
        """
        arrays = []
        if type(inputs) is dict and len(inputs) == len(self._expected):
            for name, shape, _ in self._expected:
                x = inputs.get(name)
                if type(x) is _Array and x.shape == shape:
                    arrays.append(x)
        if len(arrays) != len(self._expected):
            arrays = arrange(inputs, self.inputs)
        with self._lock:
            raw = []
            for encode, x in zip(self._encoders, arrays):
                raw.append(encode(x))
            results = self._guarded_run(raw)
        return {
            name: decode(q) for name, decode, q in zip(self._output_names, self._decoders, results)
        }

    def infer_raw(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """Run the model on the file's own dtypes: nothing is quantised or dequantised.

        Args:
            inputs: an array for each input by name, in the file's shape and dtype.

        Returns:
            An array for each output by name, in the file's dtype.

        Raises:
            TensorError: a name, shape or dtype that is not the file's.
            ArtifactError: the interpreter failed, or the runner is closed.
        """
        arrays = []
        expected = self._expected
        if type(inputs) is dict and len(inputs) == len(expected):
            for name, shape, dtype in expected:
                x = inputs.get(name)
                if type(x) is _Array and x.dtype is dtype and x.shape == shape:
                    arrays.append(x)
        if len(arrays) != len(expected):
            arrays = arrange_raw(inputs, self.inputs)
        with self._lock:
            results = self._guarded_run(arrays)
        names = self._output_names
        if len(names) == 1:
            return {names[0]: results[0]}
        return dict(zip(names, results))

    def infer_batch(self, inputs: Arrays, *, workers: int = 1) -> dict[str, NDArray[Any]]:
        """Run the model on any number of samples, whatever batch size the file has.

        Args:
            inputs: as for `infer`, with any number of samples along the first axis.
            workers: threads to spread the samples over, each with an interpreter of its own.

        Returns:
            As `infer`, with as many samples.

        Raises:
            TensorError: as `infer`; also for no samples, or unequal numbers of them.
            ArtifactError: as `infer`.
        """
        require_mapping(inputs, self.inputs)
        inputs = {name: np.asarray(x) for name, x in inputs.items()}
        counts = {name: len(x) if x.ndim else 0 for name, x in inputs.items()}
        if len(set(counts.values())) != 1 or not min(counts.values()):
            raise TensorError(
                f"received samples {counts}, expected as many in each input, at least one."
            )
        if not all(spec.shape for spec in self.inputs):
            raise TensorError(
                f"{self.artifact.name}: an input without axes has no batch. Run the samples one by one "
                "with infer()."
            )
        total = next(iter(counts.values()))
        step = self.inputs[0].shape[0] or min(total, _OPEN_BATCH)

        def chunks() -> Iterator[Arrays]:
            for start in range(0, total, step):
                chunk = {name: x[start : start + step] for name, x in inputs.items()}
                short = step - min(step, total - start)
                if short:
                    # A file with a fixed batch wants it full: the last sample fills it up.
                    chunk = {
                        n: np.concatenate([x, x[-1:].repeat(short, 0)]) for n, x in chunk.items()
                    }
                yield chunk

        parts = list(self.map(chunks(), workers=workers))
        for name, result in parts[0].items():
            if not result.ndim or len(result) != step:
                raise TensorError(
                    f"output {name!r}: has shape {list(result.shape)} for a batch of {step}, expected "
                    "the batch as its first axis. Run the samples one by one with infer()."
                )
        return {
            name: np.concatenate([part[name] for part in parts])[:total]
            for name in self._output_names
        }

    def map(
        self, items: Iterable[Arrays], *, workers: int = 1
    ) -> Iterator[dict[str, NDArray[Any]]]:
        """`infer` on each of `items`, on several cores.

        Each worker has an interpreter of its own. Items are taken from their source only as
        results are taken, a bounded number ahead; a source may be endless.

        Args:
            items: dictionaries as `infer` takes them.
            workers: threads; 1 runs in the caller's own.

        Yields:
            What `infer` returns, in the order of `items`.

        Raises:
            UsageError: `workers` is below 1.
            TensorError, ArtifactError: as `infer`, where the result would be.
        """
        check_threads(workers)
        if workers == 1:
            return map(self.infer, items)
        return self._map_in_threads(items, workers)

    def _map_in_threads(
        self, items: Iterable[Arrays], workers: int
    ) -> Iterator[dict[str, NDArray[Any]]]:
        from edgekit.runtime.parallel import ordered_map

        with ExitStack() as stack:
            others = [
                stack.enter_context(
                    type(self)(self.artifact, self.threads, self.backend.name, self.trust_code)
                )
                for _ in range(workers - 1)
            ]
            yield from ordered_map([runner.infer for runner in (self, *others)], items)

    def stream(
        self, items: Iterable[Arrays], *, carry: Mapping[str, str] | None = None
    ) -> Iterator[dict[str, NDArray[Any]]]:
        """`infer` on each of `items` in turn, with state from one to the next.

        State that the file keeps itself (variables) is reset first. State that goes through
        inputs and outputs (a recurrent state, a key-value cache) starts as zeros and is carried.

        Args:
            items: dictionaries as `infer` takes them, without the inputs that carry state.
            carry: for each such input, the output that feeds it the next time; outputs that
                are called like an input if None.

        Yields:
            What `infer` returns, state included.

        Raises:
            TensorError: `carry` names what the file does not have; else as `infer`.
        """
        specs = {spec.name: spec for spec in self.inputs}
        if carry is None:
            carry = {name: name for name in specs if name in self._output_names}
        for name, output in carry.items():
            if name not in specs or output not in self._output_names:
                raise TensorError(
                    f"carry: received input {name!r} from output {output!r}, expected inputs among "
                    f"{', '.join(specs)} and outputs among {', '.join(self._output_names)}."
                )
        return self._stream(items, carry, {name: _zeros(specs[name]) for name in carry})

    def _stream(
        self, items: Iterable[Arrays], carry: Mapping[str, str], state: dict[str, NDArray[Any]]
    ) -> Iterator[dict[str, NDArray[Any]]]:
        self.reset()
        for item in items:
            results = self.infer({**state, **item})
            state = {name: results[output] for name, output in carry.items()}
            yield results

    @cached_property
    def metadata(self) -> Metadata:
        """What the file says about itself; empty for a file that edgekit did not make.

        Raises:
            ArtifactError: it is damaged, or of a version that this edgekit does not know.
        """
        # Read when asked for: an inference does without.
        from edgekit.metadata import Metadata

        return self._read_metadata() or Metadata()

    def preprocess(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """Raw data as the file wants it, by the steps that are stored in it; numpy alone.

        Args:
            inputs: raw arrays by input name, batch axis first.

        Returns:
            Arrays for `infer`; inputs without stored steps as they are.

        Raises:
            TensorError: the steps cannot take the data, or their result does not fit the input.
        """
        require_mapping(inputs, self.inputs)
        specs = {spec.name: spec for spec in self.inputs}
        prepared = {name: np.asarray(x) for name, x in inputs.items()}
        for name, steps in self.metadata.preprocessing.items():
            if name not in prepared:
                continue
            shape = steps.output_shape(prepared[name].shape)
            if name not in specs or not specs[name].accepts(tuple(n or 1 for n in shape)):
                raise TensorError(
                    f"input {name!r}: the steps stored in the file turn {list(prepared[name].shape)} "
                    f"into {list(shape)}, which the file does not take."
                )
            prepared[name] = steps.apply(prepared[name])
        return prepared

    def classify(self, x: NDArray[Any] | Arrays, top: int = 1) -> list[tuple[str, float]]:
        """The most likely classes of one raw sample, by name.

        Args:
            x: the only input, or a dictionary by input name, with a batch of 1; stored
                pre-processing is applied.
            top: how many classes.

        Returns:
            (class name, score) with the highest score first. A file without class names
            gives their numbers.

        Raises:
            TensorError: the file has several outputs, or one that is no row of scores for one
                sample, or other class names than scores; else as `infer`.
        """
        inputs = x if isinstance(x, Mapping) else {self.inputs[0].name: x}
        results = self.infer(self.preprocess(inputs))
        names = self.metadata.class_names
        if len(results) != 1:
            raise TensorError(f"classify: received outputs {', '.join(results)}, expected one.")
        (output, scores), *_ = results.items()
        if scores.ndim != 2 or len(scores) != 1 or (names and len(names) != scores.shape[1]):
            raise TensorError(
                f"classify: output {output!r} has shape {list(scores.shape)}, expected [1, "
                f"{len(names) or 'classes'}]."
            )
        order = np.argsort(-scores[0], kind="stable")[:top]
        return [(names[i] if names else str(i), float(scores[0, i])) for i in order]

    def reset(self) -> None:
        """Set state that the file keeps from one call to the next (variables) to its beginning."""
        with self._lock:
            self._reset()

    def close(self) -> None:
        """Free the interpreter. Calling it again does nothing; using the runner raises."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} {self.artifact.name!r} on {self.backend.name} "
            f"{self.backend.version}, {self.threads} threads>"
        )

    # What a backend writes:

    @abstractmethod
    def _open(self, backend: str) -> tuple[Backend, tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
        """Load the file; give the backend with its version, the inputs and the outputs."""

    @abstractmethod
    def _run(self, arrays: list[NDArray[Any]]) -> list[NDArray[Any]]:
        """One inference: arrays in the order of `inputs`, checked; results in that of `outputs`,
        each an array of its own. Errors of the interpreter may be raised as they are."""

    @abstractmethod
    def _close(self) -> None:
        """Drop what `_open` made."""

    def _read_metadata(self) -> Metadata | None:
        """What the file says about itself; None where it does not, or its format cannot."""
        return None

    def _reset(self) -> None:  # noqa: B027
        """Forget state between calls; a backend without any has nothing to do."""

    # The checks:

    def _guarded_run(self, arrays: list[NDArray[Any]]) -> list[NDArray[Any]]:
        if self._closed:
            raise ArtifactError(f"{self.artifact.name}: the runner is closed. Load the file again.")
        try:
            return self._run(arrays)
        except (RuntimeError, ValueError) as error:
            raise ArtifactError(f"{self.artifact.name}: the inference failed: {error}") from error


def _zeros(spec: TensorSpec) -> NDArray[Any]:
    dtype = np.float32 if spec.quantization is not None else spec.dtype
    return np.zeros(spec.concrete_shape(), dtype)


def check_threads(threads: int) -> int:
    """`threads`, or UsageError unless it is a number that a machine can start."""
    if type(threads) is not int or not 1 <= threads <= _MAX_THREADS:
        raise UsageError(
            f"threads: received {threads!r}, expected at least 1 and at most {_MAX_THREADS}."
        )
    return threads
