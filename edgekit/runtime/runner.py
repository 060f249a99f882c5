"""Runner: one loaded model file. Backends derive from it."""

from __future__ import annotations

from _thread import allocate_lock
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar
from weakref import WeakValueDictionary

import numpy as np

import edgekit
from edgekit.artifact import OBJECT, Artifact, HeldArtifact
from edgekit.errors import ArtifactError, UsageError, nearest
from edgekit.runtime.arrange import arrange, arrange_raw
from edgekit.runtime.codec import Codec
from edgekit.runtime.forks import leak, watch
from edgekit.runtime.options import Options
from edgekit.tensor import TensorSpec

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from typing_extensions import Self

    from edgekit.detection import Detection
    from edgekit.formats.metadata import Metadata
    from edgekit.runtime.evidence import Evidence

    Arrays = Mapping[str, NDArray[Any]]

# A module's name is found faster than a module's attribute.
_Array = np.ndarray


@dataclass(frozen=True)
class Backend:
    """The software that runs a file: its name in edgekit and the version installed."""

    name: str
    version: str


class Runner(ABC):
    """A model file ready to run. Use `edgekit.load` to make one.

    A runner may be used from several threads: calls take turns. For parallel work
    load one runner a thread. Usable as a context manager; `close` frees the interpreter.

    A pickled runner opens the same file, by its absolute path, where it is unpickled. A process that
    is forked while a thread infers, or from a runner with several threads, opens the file once more
    when it first uses the runner. State that the file keeps begins anew in both.

    Attributes:
        artifact: the file.
        backend: what runs it.
        options: how it is run.
        signatures: the names of the file's signatures, ways into it with inputs and outputs of their
            own; none where the file names none.
        signature: the one that this runner runs; None where the file names none.
        inputs, outputs: its tensors, in the file's order.
        exact: whether onnxruntime runs the file in its exact mode, without which its int8 sums would
            saturate on this processor.
        evidence: what a trial of the file showed, and what held it; None where none was requested.
    """

    backend: Backend
    signatures: tuple[str, ...]
    signature: str | None
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    backend_names: ClassVar[tuple[str, ...]]
    # Whether the backend works in a process that was forked from one that has used it.
    survives_forks: ClassVar[bool] = True
    exact: bool = False
    evidence: Evidence | None = None

    def __init__(self, artifact: Artifact, backend: str, options: Options) -> None:
        """Open the file with one of the backends in `backend_names`."""
        self.artifact = artifact
        self.options = options
        # threading.Lock by its first name: a cold start does without the module.
        self._lock = allocate_lock()
        self._closed = False
        # Of a forked child: to be opened again before its first use there.
        self._stale = False
        self._carrying = False
        self.backend, self.signatures = self._open(backend)
        self._siblings: WeakValueDictionary[str | None, Runner] = WeakValueDictionary()
        names = self.signatures
        self._bind("serving_default" if "serving_default" in names else next(iter(names), None))
        watch(self)

    def with_signature(self, name: str) -> Runner:
        """The runner of another signature of the same loaded file.

        It shares interpreter and state with this one, calls take turns, and closing one closes both.

        Raises:
            UsageError: the file has no such signature; names those it has.
        """
        if name not in self.signatures:
            raise UsageError(
                f"{self.artifact.name}: signature {name!r} is not in the file, expected one of "
                f"{', '.join(self.signatures) or 'none: it has no signatures'}."
                f"{nearest(name, self.signatures)}"
            )
        with self._lock:
            self._require_open()
            known = self._siblings.get(name)
            if known is None:
                known = object.__new__(type(self))
                vars(known).update(vars(self))
                known._bind(name)
                watch(known)
        return known

    def _bind(self, signature: str | None) -> None:
        """Be the runner of `signature`."""
        self.signature = signature
        self.inputs, self.outputs = self._choose(signature)
        memories = map(self._memory, range(len(self.inputs)))
        self._encoders = [Codec(s, m).encode for s, m in zip(self.inputs, memories)]
        self._decoders = [Codec(spec).decode for spec in self.outputs]
        self._output_names = [spec.name for spec in self.outputs]
        # What arrays that need no second look have: name, shape, dtype.
        # Texts do: their dtype can hold anything.
        self._expected = [
            (spec.name, None if spec.dtype == "object" else spec.shape, np.dtype(spec.dtype))
            for spec in self.inputs
        ]
        # Shapes that were tried in a child, where that is requested and the file has dynamic dimensions.
        dynamic = any(None in spec.shape for spec in self.inputs)
        self._tried: set[Any] | None = set() if dynamic and self.options.verify else None
        self._siblings[signature] = self

    def _rebind(self, **made: Any) -> None:
        """Have all runners of the file use what a backend `made` anew, by attribute."""
        for runner in list(self._siblings.values()):
            vars(runner).update(made)
            runner._bind(runner.signature)

    def infer(self, inputs: Arrays, *, preprocess: bool = False) -> dict[str, NDArray[Any]]:
        """Run the model on float values, whatever the file's dtypes are.

        Args:
            inputs: an array for each input by name, batch axis first, in the shape the
                file has (`inputs[i].shape`). Quantised inputs take float values of any
                numeric dtype; values beyond the quantised range are clipped to it.
            preprocess: they are raw data, as `Runner.preprocess` takes them.

        Returns:
            An array for each output by name; float32 where the file is quantised or float.

        Raises:
            TensorError: a name, shape, dtype or value that the input cannot take.
            ArtifactError: the interpreter failed, or the runner is closed.
        """
        if preprocess:
            inputs = self.preprocess(inputs)
        arrays = []
        expected = self._expected
        if type(inputs) is dict and len(inputs) == len(expected):
            for name, shape, _ in expected:
                x = inputs.get(name)
                if type(x) is _Array and x.shape == shape:
                    arrays.append(x)
        if not arrays or len(arrays) != len(expected):
            arrays = arrange(inputs, self.inputs)
            if self._tried is not None:
                self._try_first(arrays)
        encoders, decoders, names = self._encoders, self._decoders, self._output_names
        with self._lock:
            if self._closed:
                self._require_open()
                encoders = self._encoders
            try:
                raw: list[Any] = []
                for encode, x in zip(encoders, arrays):
                    raw.append(encode(x))
                results = self._run(raw)
            except (RuntimeError, ValueError) as error:
                raise self._failed(error) from error
        if len(names) == 1:
            return {names[0]: decoders[0](results[0])}
        return {name: decode(q) for name, decode, q in zip(names, decoders, results)}

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
        if not arrays or len(arrays) != len(expected):
            arrays = arrange_raw(inputs, self.inputs)
            if self._tried is not None:
                self._try_first(arrays)
        names = self._output_names
        with self._lock:
            if self._closed:
                self._require_open()
            try:
                results = self._run(arrays)
            except (RuntimeError, ValueError) as error:
                raise self._failed(error) from error
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
            UsageError: as `map`.
            TensorError: as `infer`; also for no samples, or unequal numbers of them.
            ArtifactError: as `infer`.
        """
        from edgekit.runtime.many import infer_batch

        return infer_batch(self, inputs, workers)

    def infer_batches(
        self, inputs: Arrays, *, workers: int = 1
    ) -> Iterator[dict[str, NDArray[Any]]]:
        """As `infer_batch`, a batch at a time: nothing of all samples is held.

        Args:
            inputs, workers: as for `infer_batch`; inputs may be lazy arrays, which are read some samples
                at a time.

        Yields:
            An array for each output by name, of the next samples in order.

        Raises:
            UsageError, TensorError, ArtifactError: as `infer_batch`.
        """
        from edgekit.runtime.many import infer_batches

        return infer_batches(self, inputs, workers)

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
            UsageError: `workers` is below 1, or above it for a file that keeps state.
            TensorError, ArtifactError: as `infer`, where the result would be.
        """
        from edgekit.runtime.many import infer_all

        return infer_all(self, items, workers)

    def stream(
        self, items: Iterable[Arrays], *, carry: Mapping[str, str] | None = None
    ) -> Iterator[dict[str, NDArray[Any]]]:
        """`infer` on each of `items` in turn, with state from one to the next.

        State that the file keeps itself (variables) is reset first, and kept from one item to the
        next: fused LSTM operators too, which `infer` has begin anew. State that goes through inputs and
        outputs (a recurrent state, a key-value cache) starts as zeros and is carried.

        Args:
            items: dictionaries as `infer` takes them, without the inputs that carry state.
            carry: for each such input, the output that feeds it the next time; outputs that
                are called like an input if None.

        Yields:
            What `infer` returns, state included.

        Raises:
            TensorError: `carry` names what the file does not have; else as `infer`.
        """
        from edgekit.runtime.many import infer_in_turn

        return infer_in_turn(self, items, carry)

    @cached_property
    def metadata(self) -> Metadata:
        """What the file says about itself; empty for a file that edgekit did not make.

        Raises:
            ArtifactError: it is damaged, or of a version that this edgekit does not know.
        """
        # Read when asked for: an inference does without.
        from edgekit.formats.metadata import Metadata

        return self._read_metadata() or Metadata()

    def preprocess(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """Raw data as the file wants it, by the steps that are stored in it; numpy alone.

        Args:
            inputs: raw arrays by input name, any number of samples along the first axis.

        Returns:
            Arrays for `infer` or `infer_batch`; inputs without stored steps as they are.

        Raises:
            TensorError: the steps cannot take the data, or their result does not fit the input.
        """
        from edgekit.runtime.raw_data import preprocess

        return preprocess(self, inputs)

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
            UsageError: `top` is below 1.
            TensorError: the file has several outputs, or one that is no row of scores for one
                sample, or other class names than scores; else as `infer`.
        """
        from edgekit.runtime.raw_data import classify

        return classify(self, x, top)

    def normalisation(self, inputs: Arrays) -> tuple[str, float, float] | None:  # noqa: ARG002
        """How samples compare with the statistics that the model's first layer with some learned.

        Args:
            inputs: prepared samples by input name.

        Returns:
            The layer's name, how many times larger the values are that reach it, and how far their
            mean is off, in standard deviations. None where no layer has any: they are folded into
            weights in the files that are made of a model.
        """
        return None

    def detect(self, image: NDArray[Any]) -> list[Detection]:
        """The objects in one raw image, by the decoder that is stored in the file; numpy alone.

        Args:
            image: (height, width, channels), as the camera gives it; stored pre-processing is
                applied, and undone on the boxes.

        Returns:
            Name, score and box of each, in pixels of `image`, the surest first.

        Raises:
            UsageError: the file holds no decoder.
            TensorError: no single image, or outputs that the decoder does not read; else as `infer`.
        """
        from edgekit.runtime.raw_data import detect

        return detect(self, image)

    @contextmanager
    def _carried(self) -> Iterator[None]:
        """Inferences in it go on where the last one ended, whatever the file."""
        self._carrying = True
        try:
            yield
        finally:
            self._carrying = False

    def reset(self) -> None:
        """Set state that the file keeps from one call to the next (variables) to its beginning."""
        with self._lock:
            self._require_open()
            self._reset()

    def close(self) -> None:
        """Free the interpreter. Calling it again does nothing; using the runner raises."""
        with self._lock:
            for runner in list(self._siblings.values()):
                runner._stale = False
                if not runner._closed:
                    runner._closed = True
                    # They may hold the interpreter's memory.
                    runner._encoders = []
                    runner._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __reduce__(self) -> tuple[Callable[..., Runner], tuple[Any, ...]]:
        if self.artifact.format == OBJECT:
            raise UsageError(
                f"{self.artifact.name}: the runner of a model object cannot be pickled. Save the model "
                "and load its file in the other process."
            )
        if isinstance(self.artifact, HeldArtifact):
            raise UsageError(
                f"{self.artifact.file}: the runner of a sealed file cannot be pickled: its content would leave "
                "this process. Load the bundle in the other process."
            )
        file = str(self.artifact.path.absolute())
        return _reopened, (type(self), file, self.backend.name, self.options, self.signature)

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} {self.artifact.name!r} on {self.backend.name} "
            f"{self.backend.version}, {self.options.threads} threads>"
        )

    # What a backend writes.

    @abstractmethod
    def _open(self, backend: str) -> tuple[Backend, tuple[str, ...]]:
        """Load the file; give the backend with its version, and the names of the signatures."""

    @abstractmethod
    def _choose(
        self, signature: str | None
    ) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
        """Make ready to run `signature`; give its inputs and outputs."""

    @abstractmethod
    def _run(self, arrays: list[Any]) -> list[NDArray[Any]]:
        """One inference: arrays in the order of `inputs`, checked; results in that of `outputs`,
        each an array of its own. None stands for an input that was written to `_memory`.
        Errors of the interpreter may be raised as they are."""

    @abstractmethod
    def _close(self) -> None:
        """Drop what `_open` and `_choose` made."""

    def _memory(self, index: int) -> Callable[[], NDArray[Any]] | None:  # noqa: ARG002
        """What gives the interpreter's own memory of an input, where it may be written to."""
        return None

    def _read_metadata(self) -> Metadata | None:
        """What the file says about itself; None where it does not, or its format cannot."""
        return None

    def _keeps_state(self) -> bool:
        """Whether the file remembers something from one call to the next."""
        return False

    def _twin(self) -> Runner:
        """The same signature of the same file, loaded once more."""
        twin = type(self)(self.artifact, self.backend.name, self.options)
        return twin.with_signature(self.signature) if self.signature else twin

    def _reset(self) -> None:  # noqa: B027
        """Forget state between calls; a backend without any has nothing to do."""

    # In a process that was forked:

    def _inherited(self) -> None:
        """Wait for no thread of the parent, and use nothing that one was at work with."""
        alone = self._is_whole_after_fork()
        lock = allocate_lock()
        for runner in list(self._siblings.values()):
            runner._lock = lock
            if not alone and not runner._closed:
                leak(dict(vars(runner)))
                runner._closed = runner._stale = True

    def _is_whole_after_fork(self) -> bool:
        """Whether a forked process has all that the runner works with, at rest and for itself."""
        return self.options.threads == 1 and not self._lock.locked() and self.survives_forks

    def _reopen(self) -> None:
        """Open the file once more, for all runners of it."""
        if not self.survives_forks:
            raise ArtifactError(
                f"{self.artifact.name}: {self.backend.name} does not run in a process that was forked "
                "from one that has used it. Start processes with the method 'spawn', and load the "
                "model in each."
            )
        fresh = vars(type(self)(self.artifact, self.backend.name, self.options))
        kept = {"signature", "_siblings", "_lock"}
        self._rebind(**{name: made for name, made in fresh.items() if name not in kept})

    # The checks:

    def _require_open(self) -> None:
        if self._stale:
            self._reopen()
        if self._closed:
            raise ArtifactError(f"{self.artifact.name}: the runner is closed. Load the file again.")

    def _try_first(self, arrays: list[Any]) -> None:
        """Have a child run these shapes before this process does."""
        shapes = tuple(x.shape for x in arrays)
        if self._tried is not None and shapes not in self._tried:
            edgekit.part("verify-shapes")(self, shapes)
            self._tried.add(shapes)

    def _failed(self, error: Exception) -> ArtifactError:
        return ArtifactError(f"{self.artifact.name}: the inference failed: {error}")


def _reopened(
    kind: type[Runner], file: str, backend: str, options: Options, signature: str | None
) -> Runner:
    """What a pickled runner stands for: the signature of the file, opened in this process."""
    runner = kind(Artifact.of(file), backend, options)
    return runner.with_signature(signature) if signature else runner
