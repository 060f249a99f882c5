"""The terminal: results on stdout, everything else on stderr, and no word of the libraries below."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable
from typing import Any, TextIO

from edgekit import document
from edgekit.errors import RangeWarning

INTERRUPTED = 130


class Console:
    """Where a command writes.

    TensorFlow, the converters and the interpreters write to stdout and stderr from C++. So both
    file descriptors are moved aside for edgekit's own use and what others write goes to a
    temporary file, or to stderr when asked for.
    """

    def __init__(self, verbose: bool) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        self._saved = (os.dup(1), os.dup(2))
        self.out: TextIO = os.fdopen(os.dup(1), "w", encoding="utf-8", closefd=True)
        self.err: TextIO = os.fdopen(os.dup(2), "w", encoding="utf-8", buffering=1, closefd=True)
        self._chatter: Any = None
        self._live = 0
        target = self._saved[1]
        if not verbose:
            self._chatter = tempfile.TemporaryFile()  # noqa: SIM115
            target = self._chatter.fileno()
        os.dup2(target, 1)
        os.dup2(target, 2)

    def close(self) -> None:
        """Give the descriptors back."""
        self._wipe()
        sys.stdout.flush()
        sys.stderr.flush()
        for stream in (self.out, self.err):
            try:
                stream.close()
            except BrokenPipeError:
                continue
        for descriptor, saved in zip((1, 2), self._saved, strict=True):
            os.dup2(saved, descriptor)
            os.close(saved)
        if self._chatter is not None:
            self._chatter.close()

    def tell(self, line: str) -> None:
        """A line for the person who waits."""
        self._wipe()
        print(line, file=self.err, flush=True)

    @property
    def live(self) -> Callable[[str], None] | None:
        """Shows a line in the place of the last one that it showed; None where no terminal is."""
        return self._show if self.err.isatty() else None

    def _show(self, line: str) -> None:
        line = line[: shutil.get_terminal_size().columns - 1]
        self.err.write(f"\r{line.ljust(self._live)}")
        self.err.flush()
        self._live = len(line)

    def _wipe(self) -> None:
        if self._live:
            self.err.write(f"\r{' ' * self._live}\r")
            self._live = 0

    def warn(
        self,
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,  # noqa: ARG002
        line: str | None = None,
    ) -> None:
        """In the place of `warnings.showwarning`: edgekit's own are told, others are chatter."""
        if issubclass(category, RangeWarning):
            self.tell(f"warning: {message}")
        else:
            sys.stderr.write(warnings.formatwarning(message, category, filename, lineno, line))

    def result(self, content: dict[str, Any], text: str, args: argparse.Namespace) -> None:
        """A command's result: to ``--json FILE``, as text on a terminal, as JSON into a pipe."""
        if args.json is not None:
            document.write(args.json, content)
            self.tell(text)
        elif self.out.isatty():
            print(text, file=self.out)
        else:
            self.out.write(document.dumps(content))
            self.tell(text)
        self.out.flush()
