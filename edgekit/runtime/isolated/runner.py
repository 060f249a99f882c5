"""IsolatedRunner: a file that is run in a sandboxed child, in every other way as the other runners."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from edgekit.runtime.isolated.memory import packed, places, size_of
from edgekit.runtime.isolated.service import Order, Service
from edgekit.runtime.runner import Backend, Runner

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgekit.formats.metadata import Metadata
    from edgekit.runtime.sandbox.state import Sandbox
    from edgekit.tensor import TensorSpec


class IsolatedRunner(Runner):
    """A ``.tflite`` or ``.onnx`` file in a child process that can do no harm.

    An inference that takes longer than its deadline, wants too much memory or crashes raises
    `InferenceLostError`; the next call starts another child, in which state begins anew. So does an
    exception that a signal's handler raises in the middle of an inference, such as KeyboardInterrupt.
    Closing the runner ends the child, and so does the end of this process, however it comes.

    A pickled runner, or one in a process that was forked, starts a child of its own when it is first used
    there.

    Attributes:
        sandbox: what the kernel holds the child with, beside limits of memory and time.
    """

    backend_names: ClassVar[tuple[str, ...]] = ()

    sandbox: Sandbox

    def _open(self, backend: str) -> tuple[Backend, tuple[str, ...]]:
        self._service = Service(self.artifact, backend, self.options)
        opened = self._service.opened
        self.exact: bool = opened.exact
        self.sandbox = opened.sandbox
        self._ways = {way.signature: way for way in opened.ways}
        names = tuple(name for name in self._ways if name is not None)
        return Backend(backend, opened.version), names

    def _choose(
        self, signature: str | None
    ) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
        way = self._ways[signature]
        self._dtypes = [spec.dtype for spec in way.inputs]
        self._outputs = way.outputs
        self._fixed = all(s.dtype != "object" and None not in s.shape for s in way.inputs)
        self._order: Order | None = None
        self._views: list[NDArray[Any]] = []
        if self._fixed:
            shapes = [spec.concrete_shape() for spec in way.inputs]
            self._lay_out(shapes, list(map(size_of, shapes, self._dtypes)))
        return way.inputs, way.outputs

    def _memory(self, index: int) -> Callable[[], NDArray[Any]] | None:
        return (lambda: self._views[index]) if self._fixed else None

    def _run(self, arrays: list[Any]) -> list[NDArray[Any]]:
        if not self._fixed:
            shapes = [x.shape for x in arrays]
            arrays = [packed(x) if x.dtype.kind == "O" else x for x in arrays]
            sizes = [x.nbytes for x in arrays]
            if self._order is None or (self._order.shapes, self._order.sizes) != (shapes, sizes):
                self._lay_out(shapes, sizes)
        order = self._order
        assert order is not None, "the inputs have places"
        if order.carry is not self._carrying:
            order = self._order = replace(order, carry=self._carrying, results=None)
        for view, x in zip(self._views, arrays):
            if x is not None:
                view[...] = x
        return self._service.infer(order)

    def _lay_out(self, shapes: list[tuple[int, ...]], sizes: list[int]) -> None:
        """Give inputs of these shapes, and sizes in bytes, their places in the memory."""
        offsets, end = places(sizes)
        self._service.prepare(sum(sizes), end)
        self._views = [
            self._service.memory.view(at, [size] if dtype == "object" else shape, dtype)
            for at, size, shape, dtype in zip(offsets, sizes, shapes, self._dtypes)
        ]
        self._order = Order(self.signature, self._carrying, shapes, sizes, self._outputs, end)

    def _read_metadata(self) -> Metadata | None:
        return self._service.metadata

    def _keeps_state(self) -> bool:
        return self._service.opened.keeps_state

    def _reset(self) -> None:
        self._service.reset()

    def _close(self) -> None:
        self._service.end()
        self._order, self._views = None, []
        del self._service

    def _inherited(self) -> None:
        if not self._closed:
            self._service.end()
        super()._inherited()

    def _is_whole_after_fork(self) -> bool:
        return False
