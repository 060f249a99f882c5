"""``edgekit compare --on``: the same files on several machines and interpreters, in one table."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from edgekit.artifact import FORMATS
from edgekit.cli.console import Console
from edgekit.cli.values import path
from edgekit.drift.budget import DriftBudget
from edgekit.drift.golden import Golden
from edgekit.drift.ledger import Ledger
from edgekit.errors import INCONCLUSIVE, EdgekitError, UsageError, nearest
from edgekit.files import existing
from edgekit.scratch import scratch_folder

_RUNTIMES = ("litert", "tflite-runtime", "reference", "onnxruntime")
_DEFAULT = ("litert", "onnxruntime")
# Of `edgekit compare` by itself: they mean one machine, or one interpreter.
_ALONE = (
    *("timings", "slice", "threshold", "junit", "map", "layers", "node_data", "answers", "threads"),
    *("backend", "delegate", "delegate_option", "device", "weight_cache", "trust_code", "imports"),
)


def add_on(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(
        "on several machines",
        "Every file on every machine with every interpreter, beside the original and the first of them. Nothing is "
        "installed here, and nothing stays on a board but an environment.",
    )
    group.add_argument(
        "--on",
        metavar="MACHINE,...",
        help="machines to run on: x86 (this machine), x86-avx2 and x86-sse4 (this machine's Python on "
        "emulated older processors), a board's id (that board, emulated), armhf (an emulated "
        "32-bit board), or an SSH host (default: this machine only)",
    )
    group.add_argument(
        "--runtimes",
        metavar="NAME,...",
        help=f"with --on: {', '.join(_RUNTIMES)} (default: {','.join(_DEFAULT)}); each runs the files that it "
        "can",
    )
    group.add_argument(
        "--ssh-config",
        type=path,
        metavar="FILE",
        help="with --on: configuration file for SSH (default: your own)",
    )
    group.add_argument(
        "--debian-archive",
        metavar="URL",
        help="with --on: the Debian archive for emulated boards (default: this machine's own)",
    )


def check_alone(args: argparse.Namespace) -> None:
    """Refuse what only ``--on`` heeds.

    Raises:
        UsageError: one is there.
    """
    for name in ("runtimes", "ssh_config", "debian_archive"):
        if getattr(args, name) is not None:
            option = name.replace("_", "-")
            raise UsageError(f"--{option}: needs --on, which says on which machines.")


def run_on_machines(args: argparse.Namespace, budget: DriftBudget, console: Console) -> int:
    from edgekit.boards.deploy import Setup
    from edgekit.boards.job import Work
    from edgekit.boards.ledger import ledger
    from edgekit.boards.machines import check_names, machines
    from edgekit.boards.runtimes import RUNTIMES
    from edgekit.report.ledgers import ledger_summary, ledger_table

    _check(args)
    names = args.on.split(",")
    check_names(names)
    runtimes = [RUNTIMES[name] for name in _runtimes(args.runtimes)]
    files = tuple(existing(file, "file") for file in args.files)
    _check_files(files, [runtime.ending for runtime in runtimes])
    golden = Golden.load(args.golden)
    budget.check(golden)
    work = Work(files, Path(args.golden), budget, None)
    setup = Setup(ssh_config=None if args.ssh_config is None else Path(args.ssh_config))
    words = ("--allow-setup",) if args.allow_setup else ()
    with (
        scratch_folder() as (folder, _),
        machines(names, setup, args.debian_archive, console.tell) as (setups, failed),
    ):
        found = ledger(work, golden, setups, failed, names, runtimes, folder, console.tell, words)
    lines = [*ledger_table(found).to_text().splitlines(), *ledger_summary(found)]
    console.result(found.to_json(), lines, args)
    return _exit_code(found, args.allow_inconclusive)


def _exit_code(found: Ledger, allow_inconclusive: bool) -> int:
    """That of the worst cell; one whose interpreter has no wheel for its machine does not count, unless all are."""
    from edgekit.boards.outcome import gravest

    codes = [cell.exit_code for cell in found.cells]
    if allow_inconclusive:
        codes = [0 if code == INCONCLUSIVE else code for code in codes]
    code = gravest(codes)
    return code or (0 if any(cell.ran for cell in found.cells) else EdgekitError.exit_code)


def _check(args: argparse.Namespace) -> None:
    for name in _ALONE:
        if getattr(args, name) not in (None, [], False):
            option = {"imports": "import"}.get(name, name.replace("_", "-"))
            raise UsageError(f"--{option}: is for one machine, received with --on. Leave out one.")


def _runtimes(given: str | None) -> Sequence[str]:
    names = _DEFAULT if given is None else tuple(given.split(","))
    for name in names:
        if name not in _RUNTIMES:
            raise UsageError(
                f"--runtimes: received {name!r}, expected some of {', '.join(_RUNTIMES)}."
                f"{nearest(name, _RUNTIMES)}"
            )
        if names.count(name) > 1:
            raise UsageError(f"--runtimes: received {name} twice, expected it once.")
    return names


def _check_files(files: Sequence[Path], endings: Sequence[str]) -> None:
    for file in files:
        if file.suffix not in {f".{name}" for name in FORMATS}:
            raise UsageError(
                f"{file}: with --on, expected .tflite and .onnx files, which other machines run. Export it."
            )
        if file.suffix not in endings:
            raise UsageError(
                f"--runtimes: none of those that were named runs {file}. Add "
                f"{'onnxruntime' if file.suffix == '.onnx' else 'litert'}, or leave the file out."
            )
