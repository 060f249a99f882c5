"""Cache: what was exported before, found by the content of everything that decides about it."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.metadata
import json
import os
import platform
from pathlib import Path
from typing import Any

import numpy as np

import edgekit
from edgekit.files import atomic, cache_folder, sha256_of
from edgekit.samples import Samples, blocks
from edgekit.scratch import remove_abandoned

_LIMIT_BYTES = 1 << 30

# The packages that decide about a file.
_MAKERS = (
    "tensorflow",
    "keras",
    "tf-keras",
    "ai-edge-quantizer",
    "tf2onnx",
    "onnx",
    "onnxruntime",
    "tensorflow-model-optimization",
    "numpy",
)


class Cache:
    """A folder with one file an entry: its SHA-256, a line of JSON, and content.

    What is damaged, unreadable or cannot be written is as good as not there: the work is done
    again. Entries that were not used for longest make room for new ones.

    Args:
        folder: in the user's cache folder if None.
        limit_bytes: how much all entries may take together.
    """

    def __init__(self, folder: Path | None = None, limit_bytes: int = _LIMIT_BYTES) -> None:
        self._folder = folder or cache_folder("exports")
        self._limit = limit_bytes
        if self._folder is not None:
            remove_abandoned(self._folder)

    def get(self, key: str) -> tuple[dict[str, Any], bytes] | None:
        """The entry of that key, whole and as it was put; None if there is none."""
        if self._folder is None:
            return None
        path = self._folder / key
        try:
            digest, _, rest = path.read_bytes().partition(b"\n")
            if hashlib.sha256(rest).hexdigest().encode() != digest:
                path.unlink()
                return None
            os.utime(path)
        except OSError:
            return None
        about, _, content = rest.partition(b"\n")
        return json.loads(about), content

    def put(self, key: str, about: dict[str, Any], content: bytes) -> None:
        """Keep `content` and what is known `about` it under `key`."""
        rest = json.dumps(about).encode() + b"\n" + content
        if self._folder is None or len(rest) > self._limit:
            return
        with contextlib.suppress(OSError):
            with atomic(self._folder / key) as temporary:
                temporary.write_bytes(hashlib.sha256(rest).hexdigest().encode() + b"\n" + rest)
            self._make_room()

    def _make_room(self) -> None:
        assert self._folder is not None
        entries = [(path, path.stat()) for path in self._folder.iterdir() if path.is_file()]
        used = sum(stat.st_size for _, stat in entries)
        for path, stat in sorted(entries, key=lambda entry: entry[1].st_mtime_ns):
            if used <= self._limit:
                break
            path.unlink(missing_ok=True)
            used -= stat.st_size


def key_of(**what: Any) -> str:
    """A key for all of `what`, edgekit's own code, the interpreter and the machine."""
    place = {
        "code": own_code(),
        "python": platform.python_version(),
        "machine": platform.machine(),
    }
    text = json.dumps({**what, **place}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def hash_of(samples: Samples | None) -> str | None:
    """The SHA-256 of the samples' names, dtypes, shapes and values, and of their classes' names."""
    if samples is None:
        return None
    digest = hashlib.sha256(json.dumps(samples.class_names).encode())
    arrays = [*sorted(samples.inputs.items()), ("", samples.labels)]
    arrays += [(f"y/{name}", x) for name, x in sorted(samples.output_labels.items())]
    for name, array in arrays:
        if array is not None:
            digest.update(json.dumps([name, array.dtype.str, array.shape]).encode())
            for block in blocks(array):
                digest.update(np.ascontiguousarray(block).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


@functools.cache
def own_code() -> str:
    """The SHA-256 of edgekit's own code and tables."""
    package = Path(edgekit.__file__).parent
    digest = hashlib.sha256()
    # The compatibility table decides as well.
    for path in sorted((*package.rglob("*.py"), *package.rglob("*.json"))):
        digest.update(f"{path.relative_to(package)} {sha256_of(path)}\n".encode())
    return digest.hexdigest()


def maker_versions() -> dict[str, str]:
    """Of edgekit and of all packages that decide about a file, those that are installed."""
    found = {name: version for name in _MAKERS if (version := _version_of(name))}
    return {"edgekit": edgekit.__version__, **found}


def _version_of(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
