"""Many samples on all cores: one interpreter a thread, results in order, memory bounded."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from queue import SimpleQueue
from time import perf_counter
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import Future

In = TypeVar("In")
Out = TypeVar("Out")
Item = TypeVar("Item")

# Handing one item to a thread costs tens of microseconds, as much as a small model. So items go in
# parcels, unless the source is slow: then nobody should wait for the parcel to fill.
_PARCEL = 32
_SLOW_SOURCE_S = 0.0005


def ordered_map(functions: list[Callable[[In], Out]], items: Iterable[In]) -> Iterator[Out]:
    """Apply equivalent `functions`, each of which one thread may use at a time, to all `items`.

    Items are taken from their source only as results are taken: at most two parcels a function are
    under way. An exception of a function or of the source is raised where its result would be, after
    all results before it; nothing is taken from the source after it.

    Args:
        functions: one for each thread.
        items: any iterable, endless ones included.

    Yields:
        Results in the order of `items`.
    """
    # The first inference of a process should not wait for an import that most never use.
    from concurrent.futures import ThreadPoolExecutor

    free: SimpleQueue[Callable[[In], Out]] = SimpleQueue()
    for function in functions:
        free.put(function)

    def work(parcel: _Parcel[In]) -> _Parcel[Out]:
        function = free.get()
        try:
            return _until_error(map(function, parcel.items), parcel.error)
        finally:
            free.put(function)

    parcels = _parcels(items)
    under_way: deque[Future[_Parcel[Out]]] = deque()
    with ThreadPoolExecutor(len(functions), thread_name_prefix="edgekit") as pool:
        try:
            for parcel in parcels:
                under_way.append(pool.submit(work, parcel))
                if len(under_way) > 2 * len(functions):
                    yield from under_way.popleft().result().unpacked()
            while under_way:
                yield from under_way.popleft().result().unpacked()
        finally:
            for future in under_way:
                future.cancel()


@dataclass
class _Parcel(Generic[Item]):
    """Some of the items, in order, and the exception that came in the place of the next one."""

    items: list[Item]
    error: Exception | None = None

    def unpacked(self) -> Iterator[Item]:
        yield from self.items
        if self.error is not None:
            raise self.error


def _until_error(items: Iterator[Item], error: Exception | None) -> _Parcel[Item]:
    """All of `items` with the `error` that comes after them, or those before the one that fails."""
    taken: list[Item] = []
    try:
        for item in items:
            taken.append(item)
    except Exception as own:
        return _Parcel(taken, own)
    return _Parcel(taken, error)


def _parcels(items: Iterable[In]) -> Iterator[_Parcel[In]]:
    """The items in parcels; an exception of theirs is in the last one."""
    parcel: list[In] = []
    asked = perf_counter()
    try:
        for item in items:
            now = perf_counter()
            parcel.append(item)
            if len(parcel) >= _PARCEL or now - asked > _SLOW_SOURCE_S:
                yield _Parcel(parcel)
                parcel = []
            asked = perf_counter()
    except Exception as error:
        yield _Parcel(parcel, error)
        return
    if parcel:
        yield _Parcel(parcel)
