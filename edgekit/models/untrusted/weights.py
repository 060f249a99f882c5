"""Weights: what an HDF5 file holds, checked without reading a value of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from edgekit.errors import ArtifactError, UntrustedCodeError, require
from edgekit.models.untrusted import limits, refusals

# Filters that come with HDF5 and h5py: deflate, shuffle, fletcher32, szip, nbit, scaleoffset, lzf.
# Others are libraries, which HDF5 would look for and load.
_FILTERS = frozenset((1, 2, 3, 4, 5, 6, 32000))


def check(found: Iterable[tuple[str, Any]], stored: int) -> int:
    """Refuse weights that lie in other files, need foreign code to be read, or unpack to absurd sizes.

    External links, external storage and virtual datasets name a path, which whoever wrote the model
    chose; what lies there would become part of the model and of every file made of it.

    Args:
        found: what `walk` gives.
        stored: bytes of the file.

    Returns:
        How many numbers its datasets hold.

    Raises:
        UntrustedCodeError: names what is taken from elsewhere, or the figure that is too large.
        ArtifactError: it holds what is no weights.
    """
    h5py = require("h5py", "export", "Loading a Keras model")
    bytes_, numbers = 0, 0
    for place, dataset in found:
        if not isinstance(dataset, h5py.Dataset):
            continue
        kind = dataset.dtype
        text = h5py.check_string_dtype(kind) is not None
        if dataset.shape is None or not (text or (kind.kind in "biufcSV" and kind.names is None)):
            raise ArtifactError(f"its {place!r:.200} is of the type {kind}, which no weight has.")
        filters = dataset.id.get_create_plist()
        for number in range(filters.get_nfilters()):
            each = filters.get_filter(number)[0]
            if each not in _FILTERS:
                raise refusals.code(place, f"values packed by the HDF5 filter {each}, a library")
        bytes_ += dataset.size * kind.itemsize
        numbers += dataset.size
        limits.check_unpacked(f"its weights up to {place!r:.200}", bytes_, stored)
    return numbers


def walk(file: Any) -> Iterator[tuple[str, Any]]:
    """All groups and datasets of an HDF5 file but its root, by their paths, groups before what is in them.

    Args:
        file: an open `h5py.File`.

    Yields:
        Path and group or dataset; the `h5py.SoftLink` where there is one, which leads to another path of the
        file, or nowhere; the path that it has already, as text, of what is met again.

    Raises:
        UntrustedCodeError: something lies in another file, too deep, or in too many places.
    """
    h5py = require("h5py", "export", "Loading a Keras model")
    # Groups may hold each other.
    seen = {h5py.h5o.get_info(file.id).addr: "/"}
    waiting, count = [("", file)], 0
    while waiting:
        above, group = waiting.pop()
        for name in group:
            count += 1
            if count > limits.MAX_OBJECTS:
                most = f"{limits.MAX_OBJECTS:,}"
                raise refusals.too_much("its weights", f"lie in over {most} places", most)
            place = f"{above}/{name}"
            if place.count("/") > limits.MAX_LEVELS:
                most = f"{limits.MAX_LEVELS}"
                raise refusals.too_much("its weights", f"lie over {most} groups deep", most)
            link = group.get(name, getlink=True)
            if isinstance(link, h5py.ExternalLink):
                raise _elsewhere(place, link.filename)
            if isinstance(link, h5py.SoftLink):
                yield place, link
                continue
            if not isinstance(link, h5py.HardLink):
                continue
            found = group[name]
            if not isinstance(found, (h5py.Group, h5py.Dataset)):
                continue
            address = h5py.h5o.get_info(found.id).addr
            if address in seen:
                yield place, seen[address]
                continue
            seen[address] = place
            if isinstance(found, h5py.Group):
                waiting.append((place, found))
            elif found.is_virtual:
                raise _elsewhere(place, found.virtual_sources()[0].file_name)
            elif found.external:
                raise _elsewhere(place, found.external[0][0])
            yield place, found


def _elsewhere(name: str, elsewhere: str) -> UntrustedCodeError:
    return UntrustedCodeError(
        f"its {name!r:.200} is taken from another file, {elsewhere!r:.200}. {refusals.TRUST}; better, "
        "save the model with its weights."
    )
