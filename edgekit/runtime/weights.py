"""Packed weights on disk: taken if they are whole, else made anew."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from edgekit.errors import UsageError
from edgekit.files import cache_folder, sha256_of
from edgekit.scratch import scratch_folder


@contextmanager
def packed_weights(model: Path, packer: str) -> Iterator[str]:
    """The path to load `model` with: XNNPACK reads its packed weights there or writes them.

    LiteRT notices a damaged header and no more: with damaged weights it answers wrongly without a
    word. So the file's name ends with its CRC-32 (a sixth of the time of SHA-256, and enough
    against accidents), and a file is taken only if that is true. It gets this name when it is whole.

    Args:
        model: the ``.tflite`` file.
        packer: the name and version of what packs.

    Yields:
        A path; an empty text for users without a cache folder.

    Raises:
        UsageError: the cache folder cannot be written to.
    """
    folder = cache_folder("weights")
    if folder is None:
        yield ""
        return
    stem = f"{sha256_of(model)}-{packer}-"
    for found in folder.glob(f"{stem}*.xnnpack"):
        # One that may not be read is made anew.
        with suppress(PermissionError):
            if found.stem == f"{stem}{_checksum(found)}":
                yield str(found)
                return
        # Unlinked, not overwritten: another process may have it mapped.
        with suppress(OSError):
            found.unlink()
    with ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            scratch, _ = stack.enter_context(scratch_folder(folder))
            fresh = scratch / "fresh.xnnpack"
            fresh.touch()
        except OSError as error:
            raise UsageError(
                f"weight_cache: the folder {folder} cannot be written to: {error.strerror}. Name "
                "another with the variable XDG_CACHE_HOME, or leave weight_cache out."
            ) from error
        yield str(fresh)
        # Nothing is written for a model without weights to pack.
        if fresh.stat().st_size:
            fresh.replace(folder / f"{stem}{_checksum(fresh)}.xnnpack")


def _checksum(path: Path) -> str:
    checksum = 0
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            checksum = zlib.crc32(block, checksum)
    return f"{checksum:08x}"
