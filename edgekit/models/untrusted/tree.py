"""Tree: what an HDF5 file holds as plain records and bytes, and an HDF5 file written anew from these.

A record says what stands at a path: a group, a dataset, whose bytes follow it, or a link inside of the file.
Whoever reads them needs no HDF5 library to know what they say.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Iterator
from math import prod
from typing import Any

import numpy as np

from edgekit.errors import ArtifactError, require
from edgekit.models.untrusted import limits

Record = dict[str, Any]

# How many bytes of a dataset are read at once.
_PIECE = 16 << 20
_DTYPE = re.compile(r"[<>|=]?[biufcSV]\d{1,9}")
_PURPOSE = "Loading a Keras model"


def records(
    file: Any, parts: Iterable[tuple[str, Any]]
) -> Iterator[tuple[Record, Iterable[bytes]]]:
    """What an HDF5 file holds, each with the bytes that follow it.

    Args:
        file: an open `h5py.File`.
        parts: what `weights.walk` gives of it, and `weights.check` has passed.
    """
    h5py = require("h5py", "export", _PURPOSE)
    yield {"at": "/", "kind": "group", "attrs": _attributes(file)}, ()
    for place, found in parts:
        if isinstance(found, h5py.SoftLink):
            yield {"at": place, "kind": "soft", "to": found.path}, ()
        elif isinstance(found, str):
            yield {"at": place, "kind": "hard", "to": found}, ()
        elif isinstance(found, h5py.Group):
            yield {"at": place, "kind": "group", "attrs": _attributes(found)}, ()
        elif h5py.check_string_dtype(found.dtype) and found.dtype.kind == "O":
            value = _texts(np.asarray(found[()], object))
            yield {"at": place, "kind": "texts", "attrs": _attributes(found), **value}, ()
        else:
            about = {"dtype": found.dtype.str, "shape": list(found.shape)}
            record = {"at": place, "kind": "dataset", "attrs": _attributes(found), **about}
            yield record, _pieces(found)


def _pieces(dataset: Any) -> Iterator[bytes]:
    """A dataset's bytes, in C order."""
    size = dataset.size * dataset.dtype.itemsize
    if size <= _PIECE or len(dataset.shape) == 0:
        yield np.asarray(dataset[()]).tobytes()
        return
    rows = max(1, _PIECE * dataset.shape[0] // size)
    for start in range(0, dataset.shape[0], rows):
        yield dataset[start : start + rows].tobytes()


def _attributes(item: Any) -> dict[str, Any]:
    """Those that are texts or numbers; Keras writes no others."""
    h5py = require("h5py", "export", _PURPOSE)
    found = {}
    for name in item.attrs:
        kind = item.attrs.get_id(name)
        text = h5py.check_string_dtype(kind.dtype) is not None
        if kind.shape is None or not (text or _DTYPE.fullmatch(kind.dtype.str)):
            continue
        value = np.asarray(item.attrs[name], object if kind.dtype.kind == "O" else None)
        if value.dtype.kind == "O":
            found[name] = _texts(value)
        else:
            data = base64.b64encode(value.tobytes()).decode()
            found[name] = {"dtype": value.dtype.str, "shape": list(value.shape), "data": data}
    return found


def _texts(value: Any) -> dict[str, Any]:
    texts = [x.decode("utf-8", "replace") if isinstance(x, bytes) else str(x) for x in value.flat]
    return {"shape": list(value.shape), "texts": texts}


class Writer:
    """Writes an HDF5 file of records; what they say is checked, not believed.

    Attributes:
        numbers: how many the datasets hold that were written.
    """

    def __init__(self, file: Any, most_bytes: int, root: Iterable[str] | None) -> None:
        """Into an open, empty `h5py.File`.

        Args:
            most_bytes: that its datasets may have.
            root: the names of attributes of the file itself that are written; all of them if None.
        """
        self._file = file
        self._left = most_bytes
        self._root = None if root is None else frozenset(root)
        self._count = 0
        self.numbers: int = 0

    def write(self, record: Record, fill: Callable[[memoryview], None]) -> None:
        """Write one of them.

        Args:
            record: as `records` gives them; it need not be one.
            fill: puts the bytes that follow it where they are to be, as many as fit.

        Raises:
            ArtifactError: it is none, or one too many or too large.
        """
        self._count += 1
        try:
            if self._count > limits.MAX_OBJECTS:
                raise ValueError(f"over {limits.MAX_OBJECTS:,} records")
            self._write(record, _place(record["at"]), fill)
        # h5py, too, raises whatever it likes.
        except (KeyError, TypeError, ValueError, OverflowError, RuntimeError) as error:
            raise ArtifactError(f"its weights were not read as weights: {error}") from error

    def _write(self, record: Record, at: str, fill: Callable[[memoryview], None]) -> None:
        h5py = require("h5py", "export", _PURPOSE)
        kind = record["kind"]
        if kind == "soft":
            self._file[at] = h5py.SoftLink(_text(record["to"]))
            return
        if kind == "hard":
            self._file[at] = self._file[_place(record["to"])]
            return
        if kind == "group":
            item = self._file if at == "/" else self._file.create_group(at)
        elif kind == "texts":
            item = self._file.create_dataset(
                at, data=self._array(record), dtype=h5py.string_dtype()
            )
        elif kind == "dataset":
            item = self._file.create_dataset(at, data=self._filled(record, fill))
        else:
            raise ValueError(f"a record of the kind {kind!r:.100}")
        for name, value in record["attrs"].items():
            if at != "/" or self._root is None or name in self._root:
                item.attrs[_text(name)] = self._value(value)

    def _filled(self, record: Record, fill: Callable[[memoryview], None]) -> Any:
        dtype, shape = _dtype(record["dtype"]), _shape(record["shape"])
        self._take(prod(shape) * dtype.itemsize)
        self.numbers += prod(shape)
        raw = np.empty(prod(shape) * dtype.itemsize, np.uint8)
        fill(raw.data)
        return raw.view(dtype).reshape(shape)

    def _take(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise ValueError("they are larger than its file can hold")

    def _value(self, value: Any) -> Any:
        """An attribute."""
        if "texts" in value:
            array = self._array(value)
            return array.item() if array.shape == () else array
        dtype, shape = _dtype(value["dtype"]), _shape(value["shape"])
        return np.frombuffer(base64.b64decode(value["data"]), dtype).reshape(shape)

    def _array(self, record: Record) -> Any:
        texts = [_text(each) for each in record["texts"]]
        self._take(sum(map(len, texts)))
        array = np.empty(len(texts), object)
        array[:] = texts
        return array.reshape(_shape(record["shape"]))


def _place(given: Any) -> str:
    """A path from the root of the file on."""
    parts = _text(given).split("/")
    if given == "/" or (parts[0] == "" and parts[1:] and not {"", ".", ".."} & set(parts[1:])):
        return str(given)
    raise ValueError(f"a path {given!r:.200}")


def _text(given: Any) -> str:
    if not isinstance(given, str):
        raise TypeError(f"{given!r:.100} for a text")
    return given


def _dtype(given: Any) -> np.dtype[Any]:
    if not _DTYPE.fullmatch(_text(given)):
        raise ValueError(f"a dtype {given!r:.100}")
    dtype: np.dtype[Any] = np.dtype(given)
    return dtype


def _shape(given: Any) -> tuple[int, ...]:
    if not isinstance(given, list) or len(given) > 32:
        raise TypeError(f"a shape {given!r:.100}")
    if not all(type(size) is int and 0 <= size < 2**48 for size in given):
        raise ValueError(f"a shape {given!r:.100}")
    return tuple(given)
