"""The command line. Each command is a file; only the one chosen is imported."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import tempfile
import textwrap
import traceback
import warnings
from collections.abc import Callable, Sequence, Set
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

from edgekit import __version__
from edgekit.cli.console import COLOURS, Console
from edgekit.cli.defaults import Defaults
from edgekit.cli.own_inputs import refuse_own_inputs
from edgekit.cli.parser import Parser
from edgekit.cli.values import STDOUT, size
from edgekit.errors import EdgekitError, UsageError, nearest, of_memory, one_line, printable
from edgekit.interruption import INTERRUPTED, MESSAGE, interrupted, interruptible
from edgekit.outputs import refuse_existing, together
from edgekit.samples.limits import unpacking
from edgekit.scratch import remove_abandoned
from edgekit.streams import opened_missing

# Command: its module in this folder and what it does.
COMMANDS = {
    "train": "train a network on labelled samples",
    "tune": "search hyperparameters, judged by the files that will be deployed",
    "export": "convert a Keras model to TFLite and ONNX files",
    "golden": "store samples together with the original model's answers",
    "evaluate": "score a model on labelled samples",
    "run": "run a model on samples and store its answers",
    "inspect": "show a model file's contents, its costs, and the interpreters that run it",
    "bench": "compare the speed of model files on this machine",
    "compare": "compare the answers of model files with the original model's",
    "diff": "show how two model files differ",
    "diagnose": "find out what is wrong with a model file, and in which layer",
    "heal": "repair a quantised file with the float file of the same model",
    "report": "merge JSON results into one page",
    "build": "run every step from a model to a bundle; repeat only steps whose inputs changed",
    "verify": "check that a bundle is unchanged, and who signed it",
    "seal": "encrypt the model files of a bundle to the keys of its recipients",
    "selftest": "check that this machine gives the answers recorded in a bundle",
    "install": "install a bundle beside the active one, and switch to it",
    "rollback": "switch back to the bundle that was active before",
    "serve": "serve model files over HTTP",
    "mcp": "let an agent use edgekit over the Model Context Protocol",
    "devices": "list the known boards, or identify this one",
    "doctor": "show this machine's hardware and interpreters, and what disturbs measurements on it",
    "demo": "run every step on a small real data set",
    "completion": "print a script for shell completion of commands and options",
}

_SMALLER = "Give it more memory, fewer samples, or a smaller model."
_BUG = "This is a bug in edgekit: please report it with the output of the same command with -v."


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; gives its exit code.

    0 fine, 1 failed, 2 wrong usage, 3 budget exceeded, 4 a dependency is missing, 5 inconclusive, 6 a board
    cannot be reached, 130 interrupted.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    missing = opened_missing()
    with interruptible():
        try:
            args, run = _parse(words)
        except (Exception, KeyboardInterrupt) as error:
            if not (interrupted(error) or isinstance(error, EdgekitError)):
                raise
            code, line = _failure(error)
            if 2 not in missing:
                print(printable(line), file=sys.stderr)
            return code
        return _run(args, run, missing)


def _run(args: argparse.Namespace, run: Callable[..., int], missing: Set[int]) -> int:
    chatter = args.verbose > 1
    # TensorFlow reads it when it is imported.
    if not chatter:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    console = Console(chatter, missing, args.quiet, args.color)
    try:
        with suppress(FileNotFoundError):
            remove_abandoned(Path(tempfile.gettempdir()))
        with together(), unpacking(args.max_unpacked), warnings.catch_warnings():
            warnings.showwarning = console.warn
            refuse_own_inputs(args)
            if getattr(args, "json", None) not in (None, STDOUT):
                refuse_existing([args.json], args.overwrite)
            return run(args, console)
    except BrokenPipeError:
        return 1
    except (Exception, KeyboardInterrupt) as error:
        code, line = _failure(error)
        # Where stderr is a file on a full disk, the exit code has to say it alone.
        with suppress(OSError):
            if args.verbose and line.endswith(_BUG):
                for each in traceback.format_exc().splitlines():
                    console.say(each)
            console.say(line)
        return code
    finally:
        console.close()


def _failure(error: BaseException) -> tuple[int, str]:
    """The exit code that an error ends a command with, and the line that says why."""
    if interrupted(error):
        return INTERRUPTED, MESSAGE
    if isinstance(error, EdgekitError):
        return error.exit_code, f"edgekit: {error}"
    if isinstance(error, OSError):
        # Of a descriptor it is a number.
        named = isinstance(error.filename, (str, bytes))
        where = f"{os.fsdecode(error.filename)}: " if named else ""
        return 1, f"edgekit: {where}{error.strerror or error}"
    # Of a library that finds no room for its code.
    if of_memory(error) or "failed to map segment" in str(error):
        return (
            1,
            f"edgekit: the memory is not enough{f' ({one_line(error)})' if str(error) else ''}. {_SMALLER}",
        )
    return 1, f"edgekit: unexpected {type(error).__name__}: {one_line(error)}. {_BUG}"


def command(name: str) -> tuple[Parser, ModuleType]:
    """The parser of the command of that name, and its module, whose `run` does the work.

    A module says what the command does (its docstring), which options it has (`add_arguments`), and
    how it is called (`EXAMPLE`).
    """
    module = importlib.import_module(f"edgekit.cli.{name}")
    parser = Parser(
        prog=f"edgekit {name}",
        description=module.__doc__,
        epilog="example:\n" + textwrap.indent(module.EXAMPLE, "  "),
    )
    parser.add_argument(
        "-v",
        "--verbose",
        action="count",
        default=0,
        help="print the traceback of an unexpected error; -vv: print the libraries' output too",
    )
    parser.add_argument(
        "-q",
        "--quiet",
        action="store_true",
        help="print only the result, warnings and errors",
    )
    parser.add_argument(
        "--color",
        choices=COLOURS,
        default=COLOURS[0],
        help="whether to print colours: auto prints them on a terminal unless NO_COLOR is set "
        "(default: auto)",
    )
    parser.add_argument(
        "--max-unpacked",
        type=size,
        metavar="SIZE",
        help="largest size that a compressed data file may unpack to, such as 4GB (default: 1 GiB, or "
        "16 times its size)",
    )
    module.add_arguments(parser)
    return parser, module


def top() -> Parser:
    """The parser of what may stand in place of a command."""
    parser = Parser(
        prog="edgekit",
        description="From a Keras model to files that provably answer the same on the device.",
        epilog="commands:\n"
        + "\n".join(f"  {name:<10} {text}" for name, text in COMMANDS.items())
        + "\n\nEach explains itself and gives an example: edgekit COMMAND --help",
        usage="edgekit COMMAND ...",
    )
    parser.add_argument("--version", action="version", version=f"edgekit {__version__}")
    return parser


def _parse(words: list[str]) -> tuple[argparse.Namespace, Any]:
    if not words or words[0].startswith("-"):
        top().parse_args(words)
        raise UsageError(f"no command, expected one of {', '.join(COMMANDS)}. See: edgekit --help")
    name, *rest = words
    if name not in COMMANDS:
        raise UsageError(
            f"unknown command {name!r}, expected one of {', '.join(COMMANDS)}."
            f"{nearest(name, COMMANDS)}"
        )
    parser, module = command(name)
    defaults = Defaults(parser, name, COMMANDS)
    return defaults.fill(parser.parse_args(rest)), module.run
