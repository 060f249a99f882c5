"""Service: the child of an isolated runner, started when it is needed, and again after it has ended."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from edgekit.artifact import Artifact
from edgekit.errors import ArtifactError, DocumentError, InferenceLostError, UsageError
from edgekit.formats.metadata import Metadata
from edgekit.runtime.isolated.child import Child, UnheardError
from edgekit.runtime.isolated.memory import Memory, places, size_of, unpacked
from edgekit.runtime.isolated.said import Opened
from edgekit.runtime.limits import Limits
from edgekit.runtime.options import DEADLINE_S, Options
from edgekit.runtime.sandbox.ending import greedy, wants_memory

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgekit.tensor import TensorSpec

# What malformed answers raise when they are taken apart.
_MALFORMED = (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError)
_BETWEEN = "the process ended between two calls"
_MOST_TEXT = 2000
_MOST_AXES = 64


@dataclass(eq=False)
class Order:
    """An inference on inputs of some shapes; the same one can be given again and again.

    Attributes:
        signature: the way into the file.
        carry: whether it goes on where the last one ended.
        shapes, sizes: of the inputs, the sizes in bytes.
        outputs: of that way.
        end: where the inputs end in the memory.
        results: where the results lie; None where that is not settled.
    """

    signature: str | None
    carry: bool
    shapes: Sequence[Sequence[int]]
    sizes: Sequence[int]
    outputs: Sequence[TensorSpec]
    end: int
    results: list[NDArray[Any]] | None = field(default=None)

    def to_bytes(self) -> bytes:
        return json.dumps(
            {
                "do": "infer",
                "signature": self.signature,
                "carry": self.carry,
                "shapes": self.shapes,
                "sizes": self.sizes,
            }
        ).encode("ascii")


class Service:
    """Runs a file in a child, of which there is one at a time, or none.

    Attributes:
        memory: what is shared with the child.
        opened: what the child said of the file.
    """

    def __init__(self, artifact: Artifact, backend: str, options: Options) -> None:
        """Start the first child.

        Raises:
            UnsupportedError, UsageError, ArtifactError: as `edgekit.load`.
        """
        self.memory: Memory = Memory.made()
        if not artifact.path.is_file():
            raise ArtifactError(f"{artifact.path}: not a regular file. Expected a model file.")
        self._artifact, self._backend = artifact, backend
        self._deadline_s = DEADLINE_S if options.deadline_s is None else options.deadline_s
        # The child does what is left of them.
        self._options = Options(options.threads, options.delegate)
        self._limits = Limits.of(artifact.size_bytes, options.threads)
        self._current: Order | None = None
        self._metadata: Mapping[str, Any] = {}
        self._child: Child | None = None
        self.opened: Opened = self._start()
        most = max(
            sum(size_of(s.concrete_shape(), s.dtype) for s in way.inputs if s.dtype != "object")
            for way in self.opened.ways
        )
        if self._enlarge(most):
            self._start()

    @property
    def metadata(self) -> Metadata | None:
        """What the file says about itself.

        Raises:
            ArtifactError: it is damaged.
        """
        if self._metadata.get("unreadable"):
            raise ArtifactError(str(self._metadata["unreadable"])[:_MOST_TEXT])
        known = self._metadata.get("metadata")
        return None if known is None else Metadata.from_json(known)

    def prepare(self, size: int, end: int) -> None:
        """Be ready for inputs of `size` bytes that end at `end` in the memory.

        Raises:
            ArtifactError: they are more than there is room for.
        """
        # Not where that would lose what the file has kept.
        if not self.opened.keeps_state:
            self._enlarge(size)
        self._make_room(end)

    def infer(self, order: Order) -> list[NDArray[Any]]:
        """Run the file on what lies in the memory.

        Returns:
            The results, arrays of their own.

        Raises:
            InferenceLostError: the child ended in it.
            ArtifactError: the interpreter failed, or the child gave no results.
        """
        child = self._living()
        try:
            return self._infer(child, order)
        except UnheardError:
            # Somebody ended it while nobody used it. Where nothing is lost by that, another one takes over.
            if self.opened.keeps_state:
                raise child.lost("killed", _BETWEEN) from None
        self._start()
        child = self._living()
        try:
            return self._infer(child, order)
        except UnheardError:
            raise child.lost("crash", _BETWEEN) from None

    def _infer(self, child: Child, order: Order) -> list[NDArray[Any]]:
        same = order is self._current
        self._current = None
        message = child.ask(b"" if same else order.to_bytes(), self._deadline_s)
        if same and not message:
            assert order.results is not None, "it would not be the current one"
            self._current = order
            return [_own(x) for x in order.results]
        answer = self._parsed(message)
        if "needs" in answer:
            needed = answer["needs"]
            self._make_room(needed if type(needed) is int else 0)
            answer = self._parsed(child.ask(b'{"do":"deliver"}', self._deadline_s))
        order.results = None
        results = self._results(answer, order)
        self._current = order if order.results is not None else None
        return results

    def reset(self) -> None:
        """Set the file's state to its beginning."""
        if self._child is None or self._child.over:
            return
        self._current = None
        # A new child has no state yet.
        with suppress(UnheardError):
            self._parsed(self._child.ask(b'{"do":"reset"}', self._deadline_s))

    def end(self) -> None:
        """End the child. In a process that was forked: leave it to the one that started it."""
        if self._child is not None:
            self._child.end()

    def _living(self) -> Child:
        if self._child is None or self._child.over:
            self._start()
        assert self._child is not None, "it was started"
        return self._child

    def _start(self) -> Opened:
        self._current = None
        memory_bytes = self._limits.memory_bytes
        self._child = Child(
            self._artifact, self._backend, self._options, self.memory.descriptor, memory_bytes
        )
        # As long as a trial may take.
        message = self._child.hear(2 * self._limits.seconds)
        try:
            answer = json.loads(message)
            if "failed" in answer:
                self.end()
                raise self._refused(answer)
            self._metadata = answer
            opened = Opened.from_json(answer["opened"])
        except (*_MALFORMED, DocumentError) as error:
            raise self._senseless(error) from error
        if opened != vars(self).setdefault("opened", opened):
            self.end()
            raise ArtifactError(
                f"{self._artifact.path}: has changed since it was loaded. Load it again."
            )
        return opened

    def _refused(self, answer: Mapping[str, Any]) -> Exception:
        text = str(answer["failed"])[:_MOST_TEXT]
        if wants_memory(text):
            text = f"{greedy(self._limits.memory_bytes)} when it was opened."
        if answer.get("kind") == "usage":
            return UsageError(text)
        return ArtifactError(f"{self._artifact.path}: {text}")

    def _enlarge(self, input_bytes: int) -> bool:
        """Let the child take as much as inputs of this size need; whether it was ended for that."""
        size, threads = self._artifact.size_bytes, self._options.threads
        limits = Limits.of(size, threads, input_bytes)
        if limits.memory_bytes <= self._limits.memory_bytes:
            return False
        self._limits = limits
        self.end()
        return True

    def _make_room(self, size: int) -> None:
        if size > self._limits.memory_bytes:
            child = self._living()
            raise child.lost("memory", greedy(self._limits.memory_bytes))
        self.memory.grow(size)

    def _parsed(self, message: bytes) -> dict[str, Any]:
        try:
            answer = json.loads(message)
            if not isinstance(answer, dict):
                raise TypeError("no object")
        except _MALFORMED as error:
            raise self._senseless(error) from error
        if "failed" not in answer:
            return answer
        text = str(answer["failed"])[:_MOST_TEXT]
        if wants_memory(text):
            raise self._living().lost("memory", greedy(self._limits.memory_bytes))
        raise ArtifactError(text)

    def _results(self, answer: Mapping[str, Any], order: Order) -> list[NDArray[Any]]:
        """The results that an answer tells of, taken for what they can be and no more."""
        try:
            dtypes = [spec.dtype for spec in order.outputs]
            if answer["dtypes"] != dtypes:
                raise ValueError(f"dtypes {answer['dtypes']!r:.200}, expected {dtypes!r:.200}")
            shapes = [self._shape(spec, shape) for spec, shape in _pairs(order, answer["shapes"])]
            sizes = [
                self._number(size) if spec.dtype == "object" else size_of(shape, spec.dtype)
                for (spec, size), shape in zip(_pairs(order, answer["sizes"]), shapes)
            ]
            offsets, end = places(sizes, order.end)
            if end > self.memory.size:
                raise ValueError(f"results of {end} bytes in {self.memory.size}")
            texts = "object" in dtypes
            where = [
                self.memory.view(at, [size] if dtype == "object" else shape, dtype)
                for at, size, shape, dtype in zip(offsets, sizes, shapes, dtypes)
            ]
            if not texts:
                order.results = where
            return [
                unpacked(place.tobytes(), shape) if dtype == "object" else _own(place)
                for place, shape, dtype in zip(where, shapes, dtypes)
            ]
        except _MALFORMED as error:
            raise self._senseless(error) from error

    def _shape(self, spec: TensorSpec, shape: Any) -> tuple[int, ...]:
        if not isinstance(shape, list) or len(shape) > _MOST_AXES:
            raise ValueError(f"shape {shape!r:.200}")
        found = tuple(map(self._number, shape))
        # Interpreters say nothing of the axes of a tensor whose number of them is open.
        fits = len(found) == len(spec.shape) and all(
            n in (None, given) for n, given in zip(spec.shape, found)
        )
        if spec.shape and not fits:
            raise ValueError(f"{spec.name!r} of shape {shape}, expected {list(spec.shape)}")
        return found

    def _number(self, value: Any) -> int:
        if type(value) is not int or value < 0:
            raise ValueError(f"{value!r:.80} for a number")
        return value

    def _senseless(self, error: Exception) -> InferenceLostError:
        assert self._child is not None, "it gave an answer"
        return self._child.lost("crash", f"gave an answer without sense: {error}")


def _pairs(order: Order, values: Any) -> list[tuple[TensorSpec, Any]]:
    return list(zip(order.outputs, values, strict=True))


def _own(x: NDArray[Any]) -> NDArray[Any]:
    """A copy, which the child cannot change. What it wrote for True need not be 1."""
    own: NDArray[Any] = x.view(np.uint8) != 0 if x.dtype == np.bool_ else x.copy()
    return own
