"""Run a build on boards over SSH, to find each board's hardware, drift and speed; or test a bundle there.

OpenSSH connects with your own configuration, keys and known hosts. edgekit, an interpreter and the files are copied
to the board, which needs python3 but no internet access. Only the environment is kept, for the next run. If the
connection is lost, it is restored while the work goes on. The fetched results include 'report.html', which shows
all boards. The host 'emulated:ID' is that board, emulated on this machine for the run; emulated:x86-avx2 and
emulated:x86-sse4 are this machine's Python on an emulated older processor.
"""

from __future__ import annotations

import argparse
import shutil
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgekit.cli.arguments import add_json
from edgekit.cli.budget import add_budget, budget_of, has_budget
from edgekit.cli.console import Console
from edgekit.cli.devices_emulate import add_userland
from edgekit.cli.values import number, path, whole_number
from edgekit.errors import BundleError, EdgekitError, MissingDependencyError, UsageError
from edgekit.scratch import scratch_folder

if TYPE_CHECKING:
    from edgekit.boards.deploy import Setup
    from edgekit.boards.instructions import Emulation
    from edgekit.boards.job import Work
    from edgekit.boards.outcome import BoardRuns

EXAMPLE = "edgekit devices run pi@raspberrypi.local emulated:raspberry-pi-5 --build build"
_EMULATED = "emulated:"
_GOLDEN = "golden.npz"
_SECONDS = 10.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("hosts", nargs="+", metavar="HOST", help="an SSH host, or emulated:ID")
    parser.add_argument(
        "--build",
        type=path,
        metavar="DIR",
        help="folder with the .tflite and .onnx files to run (default: none, only with --selftest)",
    )
    parser.add_argument(
        "--selftest",
        type=path,
        metavar="BUNDLE",
        help="bundle to test on each board with 'edgekit selftest' (default: none)",
    )
    parser.add_argument(
        "--compare",
        action="store_true",
        help="compare the answers with the original's (default: yes, unless only --bench is given)",
    )
    parser.add_argument(
        "--bench",
        action="store_true",
        help="compare the speed; on emulated boards, also count the instructions of an inference "
        "(default: yes, unless only --compare is given)",
    )
    parser.add_argument(
        "--golden",
        type=path,
        metavar="FILE",
        help=f"golden file with the original's answers (default: {_GOLDEN} in the build folder)",
    )
    parser.add_argument(
        "--subset",
        type=whole_number,
        metavar="N",
        help="compare on N random samples of the golden file, and keep them as golden.npz beside the "
        "results: faster on an emulated board, but proves less (default: all samples)",
    )
    parser.add_argument(
        "--seconds",
        type=number,
        default=_SECONDS,
        metavar="S",
        help=f"seconds to time each file (default: {_SECONDS:g})",
    )
    parser.add_argument(
        "-o",
        "--out",
        type=path,
        metavar="DIR",
        help="folder for the results, with one subfolder per board (default: 'boards' in the folder "
        "of the build or the bundle)",
    )
    group = parser.add_argument_group("how boards are reached and set up")
    group.add_argument(
        "--ssh-config",
        type=path,
        metavar="FILE",
        help="configuration file for SSH (default: your own)",
    )
    group.add_argument(
        "--wheels",
        type=path,
        metavar="DIR",
        help="folder that 'edgekit devices wheels' made (default: pip downloads the wheels)",
    )
    group.add_argument(
        "--python",
        metavar="PATH",
        help="path of a Python on the boards that already has edgekit, so nothing is installed (default: create "
        "an environment)",
    )
    group.add_argument(
        "--system-site-packages",
        action="store_true",
        help="let the environment use the board's own packages, such as picamera2 (default: no; "
        "always on 32-bit systems, which use Debian's numpy)",
    )
    emulation = parser.add_argument_group("of boards that are emulated")
    add_userland(emulation)  # type: ignore[arg-type]
    add_budget(parser, "the budget of --compare")
    add_json(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    from edgekit.boards.deploy import Setup, run_on
    from edgekit.boards.instructions import count_beside
    from edgekit.boards.outcome import BoardRuns
    from edgekit.boards.tables import lines_of
    from edgekit.outputs import refuse_existing

    work = _work(args)
    beside = Path(args.build) if args.build else Path(args.selftest).parent
    out = Path(args.out or beside / "boards")
    refuse_existing([out], args.overwrite, folder=True)
    setup = Setup(
        ssh_config=_path(args.ssh_config),
        wheels=_path(args.wheels),
        python=args.python,
        system=args.system_site_packages,
    )
    with ExitStack() as stack:
        if args.subset is not None:
            folder, _ = stack.enter_context(scratch_folder())
            work = _on_a_subset(work, args.subset, folder)
        hosts, own, emulations = _hosts(args, setup, stack, console)
        runs = run_on(hosts, work, out, setup, console.tell, own)
        if args.subset is not None and out.is_dir():
            work = replace(work, golden=Path(shutil.copy(work.golden or "", out)))
    runs = count_beside(runs, emulations, work.files, out, console.tell)
    outcome = BoardRuns(work.names, tuple(runs))
    _write_report(outcome, work, out, console)
    console.result(outcome.to_json(), lines_of(outcome), args)
    return outcome.exit_code


def _on_a_subset(work: Work, count: int, folder: Path) -> Work:
    """The same work with fewer samples to compare on, which are written to `folder`."""
    from edgekit.drift.golden import Golden

    if work.golden is None:
        raise UsageError("--subset: received with nothing to compare, expected a golden file too.")
    if count < 1:
        raise UsageError(f"--subset: received {count}, expected at least 1 sample.")
    Golden.load(work.golden).subset(count).save(folder / _GOLDEN)
    return replace(work, golden=folder / _GOLDEN)


def _write_report(outcome: BoardRuns, work: Work, out: Path, console: Console) -> None:
    """One page of all that was fetched, a column a board. That it cannot be made undoes nothing."""
    from edgekit.report import write_report

    paths = [path for run in outcome.boards for path in run.documents]
    if not paths:
        return
    page = out / "report.html"
    try:
        try:
            write_report(paths, page, True, work.golden)
        except MissingDependencyError:
            # HTML takes a package that a machine at work may not have.
            page = out / "report.md"
            write_report(paths, page, True)
    except EdgekitError as error:
        console.tell(f"no page of all boards: {error}")
    else:
        console.tell(f"{page}: all boards on one page")


def _path(given: str | None) -> Path | None:
    return None if given is None else Path(given)


def _work(args: argparse.Namespace) -> Work:
    from edgekit.boards.job import Work
    from edgekit.drift.budget import DriftBudget
    from edgekit.drift.golden import Golden
    from edgekit.files import existing
    from edgekit.runtime.benchmark import check_seconds

    check_seconds(args.seconds)
    bundle, bundled = _bundle(args.selftest)
    if args.build is None:
        if bundle is None:
            raise UsageError(
                "received nothing to run, expected --build DIR, --selftest BUNDLE, or both."
            )
        if args.compare or args.bench or args.golden or has_budget(args):
            raise UsageError(
                "--compare, --bench, --golden and a budget are of the files of a build, expected --build DIR too."
            )
        return Work((), None, DriftBudget(), None, bundle=bundle, bundled=bundled)
    folder = existing(args.build, "build")
    files = sorted(p for p in folder.glob("*") if p.suffix in (".tflite", ".onnx"))
    if not files:
        raise UsageError(
            f"--build {folder}: received no .tflite or .onnx file in it, expected some."
        )
    compare = args.compare or not args.bench
    golden: Path | None = _path(args.golden) or folder / _GOLDEN
    budget = budget_of(args)
    if not compare and (has_budget(args) or args.golden):
        raise UsageError("--bench alone judges no answers: add --compare, or leave the budget out.")
    if compare and golden is not None and not golden.exists():
        if args.compare or args.golden or has_budget(args):
            raise UsageError(
                f"{golden}: no such golden file, which --compare needs. Make one: edgekit golden MODEL "
                f"--samples SAMPLES -o {golden}"
            )
        golden = None
    if compare and golden is not None:
        # Before anything is copied anywhere.
        budget.check(Golden.load(golden))
    seconds = args.seconds if args.bench or not args.compare else None
    return Work(
        tuple(files), golden if compare else None, budget, seconds, bundle=bundle, bundled=bundled
    )


def _bundle(given: str | None) -> tuple[Path | None, tuple[str, ...]]:
    """A bundle, and the names of its model files; refused here if it is not as it was made."""
    if given is None:
        return None, ()
    from edgekit.bundle.archive import opened_folder
    from edgekit.bundle.contents import MODEL, NAME, Bundle
    from edgekit.bundle.verification import verify_folder
    from edgekit.files import existing

    place = existing(given, "bundle")
    with opened_folder(place) as folder:
        found = verify_folder(folder, place, None, allow_unsigned=True)
        if found.problems:
            raise BundleError(f"{place}: {'; '.join(found.problems)}")
        content = Bundle.load(folder / NAME)
    if content.is_sealed:
        raise UsageError(
            f"--selftest {place}: is sealed, and keys are not sent to boards. Run 'edgekit selftest BUNDLE --identity "
            "FILE' on the board that holds the key."
        )
    return place, tuple(file.path for file in content.files if file.role == MODEL)


def _hosts(
    args: argparse.Namespace, setup: Setup, stack: ExitStack, console: Console
) -> tuple[list[str], dict[str, Setup], dict[str, Emulation]]:
    """The hosts by name; of those that are emulated, which are up now, how each is set up, and what it is."""
    from edgekit.boards.emulate import emulated
    from edgekit.boards.here import here, is_x86
    from edgekit.boards.instructions import Emulation
    from edgekit.boards.userland import userland
    from edgekit.device import load_device

    if len(set(args.hosts)) < len(args.hosts):
        raise UsageError(f"HOST: received {', '.join(args.hosts)}, expected each board once.")
    hosts: list[str] = []
    own: dict[str, Setup] = {}
    emulations: dict[str, Emulation] = {}
    for host in args.hosts:
        if host.startswith("-"):
            raise UsageError(f"HOST: received {host!r}, expected a host as 'ssh' knows it.")
        if host.startswith(_EMULATED):
            profile = load_device(host.removeprefix(_EMULATED))
            host = profile.id
            which = userland(args.bits, args.debian)
            if setup.python is None:
                emulations[host] = Emulation(profile, which, args.debian_archive, setup.wheels)
            if is_x86(profile):
                if args.bits != 64:
                    raise UsageError(
                        f"--bits: received 32 with {host}, expected 64: x86-64 has them."
                    )
                place = stack.enter_context(here(profile))
                own[host] = replace(setup, here=place, python=setup.python or place.python)
            else:
                board = stack.enter_context(
                    emulated(profile, which, args.debian_archive, console.tell)
                )
                own[host] = replace(setup, ssh_config=board.ssh_config)
        hosts.append(host)
    return hosts, own, emulations
