"""Numpy's own files: ``.npz`` and ``.npy``, read without pickles and written a block at a time."""

from __future__ import annotations

import lzma
import os
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from edgekit.errors import SamplesError
from edgekit.files import atomic
from edgekit.samples.lazy import LazyArray, blocks
from edgekit.samples.limits import check_npz

# All that numpy, zipfile, mmap and the decompressors raise on a file that was cut, altered or forged:
# encrypted and unknown entries, headers that do not parse, shapes beyond any memory or below nothing.
UNREADABLE = (
    OSError,
    ValueError,
    TypeError,
    EOFError,
    LookupError,
    OverflowError,
    MemoryError,
    RuntimeError,
    SyntaxError,
    struct.error,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
)
# What a .npy file begins with.
_NPY = b"\x93NUMPY"


def read_npz(path: Path) -> dict[str, NDArray[Any]]:
    """Its arrays by name.

    Raises:
        SamplesError: no archive, or one with pickled objects.
        Exception: what numpy, zipfile and zlib raise on damaged files.
    """
    # numpy takes whatever is neither for a pickle.
    if not zipfile.is_zipfile(path):
        raise SamplesError("is no .npz archive: damaged, or of another format.")
    check_npz(path)
    with np.load(path, allow_pickle=False) as archive:
        arrays = {}
        for name in archive.files:
            try:
                arrays[name] = archive[name]
            except ValueError as error:
                if "pickle" in str(error).lower():
                    raise SamplesError(
                        f"array {name!r} holds pickled objects, which can run code and are refused. "
                        "Save plain numeric arrays."
                    ) from error
                raise
    return arrays


def read_npy(path: Path) -> NDArray[Any]:
    """Its array, mapped into memory: the system reads what is looked at.

    Raises:
        SamplesError: no array.
        Exception: what numpy raises on damaged files.
    """
    with path.open("rb") as stream:
        if stream.read(len(_NPY)) != _NPY:
            raise SamplesError("is no .npy array: damaged, or of another format.")
    array: NDArray[Any] = np.load(path, allow_pickle=False, mmap_mode="r")
    return array


def save_npz(path: str | os.PathLike[str], arrays: Mapping[str, Any]) -> None:
    """Write a compressed ``.npz`` whole or not at all; the same arrays give the same bytes.

    Any name will do: numpy's own `savez_compressed` takes some of them for its arguments.

    Args:
        path: the file.
        arrays: numpy's or lazy ones.

    Raises:
        SamplesError: an array holds Python objects.
    """
    with atomic(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, x in arrays.items():
            if x.dtype.hasobject:
                raise SamplesError(f"array {name!r}: holds Python objects, expected plain values.")
            # A ZipInfo of one's own carries no time of writing.
            member = zipfile.ZipInfo(f"{name}.npy")
            member.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(member, "w", force_zip64=True) as stream:
                _write(stream, x)


def save_npy(path: str | os.PathLike[str], x: Any) -> None:
    """Write an array of numpy's or a lazy one as ``.npy``."""
    with Path(path).open("wb") as stream:
        _write(stream, x)


def _write(stream: IO[bytes], x: Any) -> None:
    if not isinstance(x, LazyArray):
        np.lib.format.write_array(stream, np.asanyarray(x), allow_pickle=False)
        return
    header = {
        "descr": np.lib.format.dtype_to_descr(x.dtype),
        "fortran_order": False,
        "shape": x.shape,
    }
    np.lib.format.write_array_header_1_0(stream, header)
    for block in blocks(x):
        stream.write(block.tobytes())
