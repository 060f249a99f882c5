"""Inside: the child that opens a Keras file of others. It says what is in it, as plain data, and ends.

No TensorFlow is needed here, and nothing of the file reaches any but this process before it was read, held by
the sandbox, within the limits.
"""

from __future__ import annotations

import base64
import json
import os
from functools import cache
from pathlib import Path
from typing import Any

from edgekit.errors import ArtifactError, UntrustedCodeError, placed
from edgekit.models.untrusted import weights
from edgekit.models.untrusted.container import KerasFile
from edgekit.models.untrusted.names import Known, Names
from edgekit.models.untrusted.normal import normalised
from edgekit.models.untrusted.refusals import StrangerError
from edgekit.models.untrusted.tree import records
from edgekit.runtime.isolated.frames import read_frame, write_frame
from edgekit.runtime.sandbox.inside import confine

# Of a piece of weights or assets.
_PIECE = 16 << 20


def serve(setting: str, path: str, key: str, most: str) -> None:
    """Read a file, and answer what is asked about it until nobody asks any more.

    The first message says what the file is, or why it is refused. Questions are JSON: ``{"normal": flavour}``
    for its architecture, answered by that or by ``{"known": name}``, a question in turn; and
    ``{"parts": true}`` for all else, answered by records, each followed by its bytes.

    Args:
        setting: as `edgekit.runtime.sandbox.inside.confine` takes it.
        path: of the file.
        key, most: under which the file says something of itself, and how many bytes of that are read.
    """
    # What libraries print must not be taken for an answer.
    replies = os.dup(1)
    os.dup2(2, 1)
    confine(setting)
    server = _Server(Path(path), replies, (key, int(most)))
    server.answer(server.opened)
    while (message := read_frame(0)) is not None:
        asked = json.loads(message)
        if "normal" in asked:
            server.answer(lambda flavour=asked["normal"]: server.normal(flavour))
        else:
            server.answer(server.parts)


class _Server:
    def __init__(self, path: Path, replies: int, about: tuple[str, int]) -> None:
        self._path = path
        self._about = about
        self._replies = replies

    def answer(self, make: Any) -> None:
        """Say what `make` returns, or why the file is refused."""
        try:
            self._say(make())
        except ArtifactError as error:
            kinds = (UntrustedCodeError, StrangerError, ArtifactError)
            kind = next(each.__name__ for each in kinds if isinstance(error, each))
            # Whoever hears it names the file as its user did.
            text = placed(self._path, error).removeprefix(f"{self._path}: ")
            self._say({"refused": kind, "text": text})
        except RecursionError:
            self._say({"refused": "ArtifactError", "text": "lies too deep in itself to be read."})

    def opened(self) -> dict[str, Any]:
        self._file = KerasFile.read(self._path)
        metadata = self._file.embedded(*self._about)
        return {
            "kind": self._file.kind,
            "version": self._file.version,
            "classes": sorted(self._file.classes),
            "bridged": self._file.bridged,
            "metadata": None if metadata is None else base64.b64encode(metadata).decode(),
        }

    def normal(self, flavour: str) -> dict[str, Any]:
        names = {each: Names(each, _Asked(self._known(each))) for each in ("keras", "tf_keras")}
        return {"normal": normalised(self._file.config, names, flavour)}

    def parts(self) -> dict[str, Any]:
        stored = self._path.stat().st_size
        with self._file.weights() as opened:
            found = list(weights.walk(opened))
            weights.check(found, stored)
            for record, pieces in records(opened, found):
                self._say(record)
                for piece in pieces:
                    self._write(piece)
        for name, bytes_ in self._file.assets():
            self._say({"kind": "asset", "name": name, "bytes": len(bytes_)})
            self._write(bytes_)
        return {"kind": "end"}

    def _known(self, flavour: str) -> Any:
        @cache
        def ask(name: str) -> str:
            self._say({"known": name, "flavour": flavour})
            message = read_frame(0)
            if message is None:
                raise SystemExit
            return str(json.loads(message))

        return ask

    def _say(self, message: dict[str, Any]) -> None:
        write_frame(self._replies, json.dumps(message).encode())

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._replies, view[:_PIECE]) :]


class _Asked(Known):
    """What the caller's program has made known, which it is asked about by name."""

    def is_class(self, name: object) -> bool:
        return isinstance(name, str) and self.find(name) == "class"

    def is_function(self, name: object) -> bool:
        return isinstance(name, str) and self.find(name) == "function"
