"""Weights: what an HDF5 file holds, checked without reading a value of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from edgekit.errors import ArtifactError, UntrustedCodeError, require
from edgekit.models.untrusted import limits, refusals

# Filters that come with HDF5 and h5py: deflate, shuffle, fletcher32, szip, nbit, scaleoffset, lzf.
# Others are libraries, which HDF5 would look for and load.
_FILTERS = frozenset((1, 2, 3, 4, 5, 6, 32000))


def check(file: Any, stored: int) -> int:
    """Refuse weights that lie in other files, need foreign code to be read, or unpack to absurd sizes.

    External links, external storage and virtual datasets name a path, which whoever wrote the model
    chose; what lies there would become part of the model and of every file made of it.

    Args:
        file: an open `h5py.File`.
        stored: bytes of the file.

    Returns:
        How many numbers its datasets hold.

    Raises:
        UntrustedCodeError: names what is taken from elsewhere, or the figure that is too large.
        ArtifactError: it holds what is no weights.
    """
    h5py = require("h5py", "export", "Loading a Keras model")
    bytes_, numbers = 0, 0
    for dataset in _datasets(h5py, file):
        kind = dataset.dtype
        if kind.kind not in "biufcSVO" or h5py.check_ref_dtype(kind) is not None:
            raise ArtifactError(
                f"its {dataset.name!r:.200} is of the type {kind}, which no weight has."
            )
        filters = dataset.id.get_create_plist()
        for place in range(filters.get_nfilters()):
            number = filters.get_filter(place)[0]
            if number not in _FILTERS:
                raise refusals.code(
                    dataset.name, f"values packed by the HDF5 filter {number}, a library"
                )
        bytes_ += dataset.size * kind.itemsize if dataset.size else 0
        numbers += dataset.size or 0
        limits.check_unpacked(f"its weights up to {dataset.name!r:.200}", bytes_, stored)
    return numbers


def _datasets(h5py: Any, file: Any) -> Iterator[Any]:
    """All datasets that hard links lead to; others lead to these, or nowhere."""
    waiting, seen = [file], set()
    while waiting:
        group = waiting.pop()
        # Groups may hold each other.
        address = h5py.h5o.get_info(group.id).addr
        if address in seen:
            continue
        seen.add(address)
        for name in group:
            link = group.get(name, getlink=True)
            if isinstance(link, h5py.ExternalLink):
                raise _elsewhere(f"{group.name}/{name}", link.filename)
            if not isinstance(link, h5py.HardLink):
                continue
            found = group[name]
            if len(seen) + len(waiting) > limits.MAX_OBJECTS:
                raise refusals.too_much(
                    "its weights",
                    f"lie in over {limits.MAX_OBJECTS:,} places",
                    f"{limits.MAX_OBJECTS:,}",
                )
            if isinstance(found, h5py.Group):
                waiting.append(found)
                continue
            if not isinstance(found, h5py.Dataset):
                continue
            address = h5py.h5o.get_info(found.id).addr
            if address in seen:
                continue
            seen.add(address)
            if found.is_virtual:
                raise _elsewhere(found.name, found.virtual_sources()[0].file_name)
            if found.external:
                raise _elsewhere(found.name, found.external[0][0])
            yield found


def _elsewhere(name: str, elsewhere: str) -> UntrustedCodeError:
    return UntrustedCodeError(
        f"its {name!r:.200} is taken from another file, {elsewhere!r:.200}. {refusals.TRUST}; better, "
        "save the model with its weights."
    )
