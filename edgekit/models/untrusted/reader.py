"""Reader: a Keras file of others as the caller sees it, who never opens it: a sandboxed child does.

What the child says is data, read as carefully as if an author had written it: the architecture is normalised
once more here, and weights come as dtypes, shapes and bytes, of which a new file is written.
"""

from __future__ import annotations

import base64
import json
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

from edgekit.errors import ArtifactError, UntrustedCodeError, require
from edgekit.formats.metadata import KEY, MAX_BYTES, Metadata
from edgekit.models.untrusted import limits, refusals
from edgekit.models.untrusted.container import build, is_asset, kind_of
from edgekit.models.untrusted.names import Names
from edgekit.models.untrusted.normal import normalised
from edgekit.models.untrusted.tree import Writer
from edgekit.runtime.child import command, kill, started
from edgekit.runtime.limits import Limits
from edgekit.runtime.sandbox.ending import death
from edgekit.runtime.sandbox.run import ENVIRONMENT, setting_of

_ERRORS = {each.__name__: each for each in (ArtifactError, UntrustedCodeError)}
_ERRORS["StrangerError"] = refusals.StrangerError
# An architecture written anew names more than the author's.
_MOST_ANSWER = 4 * limits.MAX_CONFIG_BYTES
# Of an error's text, and of what the child writes to stderr.
_MOST_TEXT = 4096
# Attributes of the file itself that Keras reads beside the architecture.
_ROOT = ("keras_version", "backend")


class Reader:
    """A Keras file of others, open in a child.

    Attributes:
        path: as its user named it.
        kind: ``"archive"`` or ``"hdf5"``.
        version: of Keras, as the file says; empty where it does not.
        classes: what its architecture names as classes.
        bridged: whether it names anything of edgekit's own.
        metadata: what it says about itself; None if it has none of edgekit's.
    """

    def __init__(self, path: Path, process: subprocess.Popen[bytes], bounds: Limits) -> None:
        self.path = path
        self._process = process
        self._bounds = bounds
        self._late = False
        self._said = b""
        assert process.stderr is not None, "it was requested"
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        try:
            with self._in_time():
                opened = self._hear(_MOST_ANSWER)
            self.kind: str = _one_of(opened["kind"])
            self.version: str = _text(opened["version"])[:100]
            self.classes: frozenset[str] = frozenset(map(_text, opened["classes"]))
            self.bridged: bool = opened["bridged"] is True
            found = opened["metadata"]
            raw = None if found is None else base64.b64decode(_text(found))[: MAX_BYTES + 1]
        except (KeyError, TypeError, ValueError) as error:
            raise self._malformed(error) from error
        self.metadata: Metadata | None = None if raw is None else Metadata.from_bytes(raw)

    @classmethod
    @contextmanager
    def opened(cls, path: Path) -> Iterator[Reader]:
        """Read a file in a child, which is there as long as the block runs.

        Raises:
            ArtifactError: it is no Keras file, is damaged, or says nonsense of itself.
            UntrustedCodeError: its architecture is of an absurd size, or what reads it took too long or too
                much memory, or crashed.
        """
        # Pipes and devices have no size, and no end.
        kind_of(path)
        bounds = Limits.of(path.stat().st_size)
        setting = setting_of([path], ["h5py"], bounds.seconds, bounds.memory_bytes)
        told = [setting, str(path.absolute()), KEY, str(MAX_BYTES)]
        words = command("edgekit.models.untrusted.inside:serve", told)
        pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        with started(words, environment=ENVIRONMENT, **pipes) as process:
            reader = None
            try:
                with _named(path):
                    reader = cls(path, process, bounds)
                    yield reader
            finally:
                kill(process)
                if reader is not None:
                    reader._listener.join()

    def normalised(self, names: Mapping[str, Names], flavour: str) -> Any:
        """Its architecture, written anew for one flavour of Keras.

        Raises:
            StrangerError: it names what this flavour does not have.
            UntrustedCodeError: it holds code, or asks for more than a model can need.
        """
        with self._in_time():
            self._ask({"normal": flavour})
            answer = self._hear(_MOST_ANSWER)
            while "known" in answer:
                self._ask(_known(names.get(str(answer.get("flavour"))), answer["known"]))
                answer = self._hear(_MOST_ANSWER)
        try:
            limits.check_depth(answer["normal"])
            return normalised(answer["normal"], names, flavour)
        except (KeyError, RecursionError) as error:
            raise self._malformed(error) from error

    def copied(self, folder: Path, config: Any) -> tuple[Path, int]:
        """A file in `folder` with `config` for its architecture, its weights, the assets of layers, and no more.

        Returns:
            The file; and how many numbers its weights hold.

        Raises:
            UntrustedCodeError: its weights are taken from other files, or of absurd sizes.
            ArtifactError: they are damaged.
        """
        h5py = require("h5py", "export", "Loading a Keras model")
        most = limits.unpacked_limit(self.path.stat().st_size)
        file, assets, left = folder / "weights.h5", dict[str, bytes](), most
        self._ask({"parts": True})
        with h5py.File(file, "w") as opened, self._in_time():
            writer = Writer(opened, most, _ROOT if self.kind == "hdf5" else None)
            while (record := self._hear(_MOST_ANSWER)).get("kind") != "end":
                if record.get("kind") != "asset":
                    writer.write(record, self._fill)
                    continue
                name, size = record.get("name"), record.get("bytes")
                if not (isinstance(name, str) and is_asset(name) and isinstance(size, int)):
                    raise self._malformed(ValueError(f"an asset {name!r:.200}"))
                left -= size
                if not 0 <= left <= most or len(assets) > limits.MAX_MEMBERS:
                    raise self._malformed(ValueError("assets larger than the file can hold"))
                assets[name] = self._take(size)
        return build(folder, self.kind, config, file, assets), writer.numbers

    def _ask(self, message: Any) -> None:
        data = json.dumps(message).encode()
        assert self._process.stdin is not None, "it was requested"
        with suppress(BrokenPipeError):
            self._process.stdin.write(len(data).to_bytes(4, "little") + data)
            self._process.stdin.flush()

    def _hear(self, most: int) -> Any:
        """The next message, without what follows it.

        Raises:
            ArtifactError, UntrustedCodeError: that the file is refused.
        """
        size = int.from_bytes(self._take(4), "little")
        if size > most:
            raise self._malformed(ValueError(f"an answer of {size:,} bytes"))
        try:
            answer = json.loads(self._take(size))
        except (ValueError, RecursionError) as error:
            raise self._malformed(error) from error
        if not isinstance(answer, dict):
            raise self._malformed(TypeError("an answer that is no table"))
        if "refused" in answer:
            kind = _ERRORS.get(str(answer["refused"]), ArtifactError)
            raise kind(f"{answer.get('text')!s:.{_MOST_TEXT}}")
        return answer

    def _take(self, size: int) -> bytes:
        data = bytearray(size)
        self._fill(memoryview(data))
        return bytes(data)

    def _fill(self, view: memoryview) -> None:
        """Take so many bytes of what it writes."""
        assert self._process.stdout is not None, "it was requested"
        while view:
            count = self._process.stdout.readinto(view)  # type: ignore[attr-defined]
            if not count:
                self._died()
            view = view[count:]

    @contextmanager
    def _in_time(self) -> Iterator[None]:
        """End the child if the block takes longer than it may. It waits in the system, where signals are heard."""
        timer = threading.Timer(2 * self._bounds.seconds, self._stop)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _stop(self) -> None:
        self._late = True
        kill(self._process)

    def _listen(self) -> None:
        """Take what it writes to stderr, which must not fill up; the end of it may say why it died."""
        assert self._process.stderr is not None, "it was requested"
        while more := self._process.stderr.read1(1 << 16):  # type: ignore[attr-defined]
            self._said = (self._said + more)[-_MOST_TEXT:]

    def _died(self) -> NoReturn:
        """Raise what says how it died: nobody holds the other end of its pipe any more."""
        seconds = self._bounds.seconds
        words = (
            f"took its reader over {seconds} s, where a file that is not trusted may take {seconds}"
        )
        if not self._late:
            try:
                code = self._process.wait(5)
            except subprocess.TimeoutExpired:
                raise self._malformed(EOFError("no answer")) from None
            self._listener.join(1)
            said = self._said.decode("utf-8", "replace")
            how, told = death(code, said, self._bounds.memory_bytes, "what reads it")
            if how == "memory" or "SIGXCPU" not in told:
                words = told
        raise UntrustedCodeError(f"{words}. {refusals.TRUST}, which reads it in this process.")

    def _malformed(self, error: BaseException) -> UntrustedCodeError:
        """What to say of a child that does not answer as it should: the file may have taken it over."""
        return UntrustedCodeError(
            f"what reads it gave no answer that can be used ({type(error).__name__}: {error!s:.200}). Do "
            "not use the file."
        )


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Say whose it is in every refusal."""
    try:
        yield
    except ArtifactError as error:
        text = str(error)
        if text.startswith(f"{path}: "):
            raise
        kind = UntrustedCodeError if isinstance(error, UntrustedCodeError) else ArtifactError
        raise kind(f"{path}: {text}") from error


def _known(names: Names | None, name: Any) -> str:
    """What the program has made known under a name, in a word."""
    if names is None:
        return ""
    if names.known.is_class(name):
        return "class"
    return "function" if names.known.is_function(name) else ""


def _one_of(kind: Any) -> str:
    if kind not in ("archive", "hdf5"):
        raise ValueError(f"a file of the kind {kind!r:.100}")
    return str(kind)


def _text(given: Any) -> str:
    if not isinstance(given, str):
        raise TypeError(f"{given!r:.100} for a text")
    return given
