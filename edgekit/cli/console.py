"""The terminal: results on stdout, everything else on stderr, and no word of the libraries below."""

from __future__ import annotations

import argparse
import errno
import os
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable, Sequence, Set
from typing import IO, Any, TextIO

from edgekit import document
from edgekit.cli.values import STDOUT
from edgekit.errors import RangeWarning, TrustWarning, printable
from edgekit.streams import Diverted, Remark, Styled

WARNING = "warning: "
COLOURS = AUTO, ALWAYS, NEVER = ("auto", "always", "never")
# https://en.wikipedia.org/wiki/ANSI_escape_code#Select_Graphic_Rendition_parameters: the terminal's own
# colours, which its owner chose for its background.
_CODES = {"pass": "32", "fail": "31", "warning": "33", "bold": "1", "dim": "2"}


class Console:
    """Where a command writes: the terminal's or the pipe's own descriptors.

    Texts hold names from files, and those can hold anything: what would steer a terminal is spelt out
    here, for all commands.

    What libraries write to stdout and stderr goes to a temporary file, or to stderr if `verbose`.

    Args:
        verbose: whether libraries are heard.
        missing: of stdout (1) and stderr (2), those that were closed.
        quiet: whether only results, warnings and errors are written.
        colour: of `COLOURS`.
    """

    def __init__(
        self,
        verbose: bool,
        missing: Set[int] = frozenset(),
        quiet: bool = False,
        colour: str = AUTO,
    ) -> None:
        self._missing, self._quiet, self._colour = missing, quiet, colour
        self._chatter = None if verbose else _temporary()
        self._diverted = Diverted(2 if self._chatter is None else self._chatter.fileno())
        # Names of files need not be UTF-8.
        how: Any = {"mode": "w", "encoding": "utf-8", "errors": "backslashreplace"}
        self.out: TextIO = os.fdopen(os.dup(self._diverted.out), **how)
        self.err: TextIO = os.fdopen(os.dup(self._diverted.err), **how, buffering=1)
        self._live = 0

    def close(self) -> None:
        """Give the descriptors back."""
        self._wipe()
        for stream in (self.out, self.err):
            try:
                stream.close()
            # What is a result was flushed when it was written.
            except OSError:
                continue
        self._diverted.end()
        if self._chatter is not None:
            self._chatter.close()

    def tell(self, line: str) -> None:
        """A line for the person who waits; one who wants it quiet is told of warnings alone."""
        if not self._quiet or warns(line):
            self.say(line)

    def say(self, line: str) -> None:
        """A line that has to be heard: what went wrong."""
        self._wipe()
        print(self._shown(line, self.err), file=self.err, flush=True)

    @property
    def live(self) -> Callable[[str], None] | None:
        """Shows a line in the place of the last one that it showed; None where no terminal is."""
        return self._show if self.err.isatty() and not self._quiet else None

    def _show(self, line: str) -> None:
        line = printable(line)[: shutil.get_terminal_size().columns - 1]
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
        if issubclass(category, (RangeWarning, TrustWarning)):
            self.say(f"{WARNING}{message}")
        else:
            sys.stderr.write(warnings.formatwarning(message, category, filename, lineno, line))

    def result(
        self,
        content: dict[str, Any],
        lines: Sequence[str],
        args: argparse.Namespace,
        *,
        stdout: bool = True,
    ) -> None:
        """A command's result: to ``--json FILE``, as text on a terminal, as JSON into a pipe.

        Args:
            content: a document.
            lines: the same for a person.
            args: with ``--json``.
            stdout: whether it is free; another result may be there already.
        """
        if args.json not in (None, STDOUT):
            document.write(args.json, content)
        elif args.json == STDOUT or (stdout and not self.out.isatty()):
            self.write(document.dumps(content))
        elif stdout:
            self.lines(lines)
            return
        for line in lines:
            self.tell(line)

    def write(self, text: str) -> None:
        """Text that is a result, to stdout; its line breaks stay.

        Raises:
            OSError: stdout is closed, or cannot be written to.
        """
        self._put(printable(text, keep="\n"))

    def lines(self, lines: Sequence[str]) -> None:
        """Lines that are a result, to stdout, in colours where a terminal shows them.

        Raises:
            OSError: as `write`.
        """
        self._put("".join(f"{self._shown(line, self.out)}\n" for line in lines))

    def _shown(self, line: str, stream: TextIO) -> str:
        """A line that steers no terminal, but for its own colours where they are shown."""
        if not (isinstance(line, Styled) and self._coloured(stream)):
            return printable(line)
        return "".join(
            f"\x1b[{_CODES[style]}m{printable(text)}\x1b[0m" if style else printable(text)
            for text, style in line.parts
        )

    def _coloured(self, stream: TextIO) -> bool:
        """Whether colours may go there: to a terminal whose user did not opt out (https://no-color.org), or as told."""
        if self._colour != AUTO:
            return self._colour == ALWAYS
        opted_out = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
        return stream.isatty() and not opted_out

    def _put(self, text: str) -> None:
        if 1 in self._missing:
            raise OSError(errno.EBADF, "is closed, expected where to write the result", "stdout")
        try:
            self.out.write(text)
            self.out.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise OSError(error.errno, error.strerror, "stdout") from error


def warns(line: str) -> bool:
    """Whether a line is to be seen whatever is going on."""
    return isinstance(line, Remark) or line.startswith(WARNING)


def _temporary() -> IO[bytes]:
    """A file for what nobody reads; on a system without a place for one, the one that keeps nothing."""
    try:
        return tempfile.TemporaryFile()
    except FileNotFoundError:
        return open(os.devnull, "wb")  # noqa: PTH123
