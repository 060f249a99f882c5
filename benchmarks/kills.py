"""Kill every command that writes, before each of its file operations, and run it again.

    python benchmarks/kills.py [-o FOLDER] [--only PATTERN] [--every N] [--slice]

A command runs in a fork of this process, in a folder of its own with all that it reads, and gets SIGKILL
before its n-th file operation, for every n; at a random moment; or it has to do with full disks (a limit
for the size of its files, and where this process may mount one, a small disk) and with little memory.
After each: every output is whole or not there, files that stood there are, and the same command, run
again, succeeds and leaves nothing hidden. That outputs exist, exit code 2, is a success where all of them
are there and whole.

Each point is a row, a file of its own in FOLDER: a run that was stopped goes on where it was. Another
FOLDER, or none, begins anew. `--slice` is what takes a minute: commands without TensorFlow, every fourth
operation. Exits with 1 if anything was half-written or lost, or a command did not succeed when it was run again.
"""

from __future__ import annotations

import argparse
import ctypes
import fcntl
import json
import mmap
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import bundles
import numpy as np
from whole import fault

MODELS = Path(__file__).parents[1] / "tests" / "models"
PATIENCE_S = 600
# Audit events of operations that change what is on the disk (https://docs.python.org/3/library/audit_events.html).
CHANGING = {
    "os.rename",
    "os.remove",
    "os.mkdir",
    "os.rmdir",
    "os.link",
    "os.symlink",
    "os.truncate",
}
# Of folders that are worked in more than once: who waits for one holds it open, so that it stays.
LOCKS = (".lock", ".build.lock")
EXISTS = re.compile(r"exists? already")


@dataclass(frozen=True)
class Command:
    """A command that writes.

    Attributes:
        words: of the command line, in the folder of a point.
        outputs: what it is to leave there; patterns.
        before: what stands there already, and may be replaced but not lost.
        tensorflow: whether it needs it.
        ends: exit codes with which its work is done; a verdict is one.
    """

    words: tuple[str, ...]
    outputs: tuple[str, ...]
    before: tuple[str, ...] = ()
    tensorflow: bool = False
    ends: tuple[int, ...] = (0,)

    @property
    def name(self) -> str:
        return "-".join(re.sub(r"\W+", "_", word.strip("-")) for word in self.words)


def commands() -> list[Command]:
    limit = ("--max-accuracy-drop", "99%")
    layers = ("--layers", "f.tflite", "--node-data", "n.json")
    baseline = ("--baseline", "base.json", "--max-slowdown", "99%")
    samples = ("--calibration", "s.npz", "--samples", "s.npz")
    export = ("export", "m.keras", "--calibration", "s.npz", "-o", "out")
    files = ("out/m.float32.tflite", "out/m.int8.tflite", "out/manifest.json")
    onnx = ("out/m.float32.onnx", "out/m.int8.onnx")
    build = (
        "build",
        "m.keras",
        "--calibration",
        "s.npz",
        "--samples",
        "t.npz",
        "-o",
        "out",
        "--allow-inconclusive",
    )
    names = ("build.json", "manifest.json", "golden.npz", "drift.json", "bench.json", "report.html")
    built = (*(f"out/{name}" for name in names), "out/m.*.tflite")
    installed = ("models/current", "models/installed", f"models/{'[0-9a-f]' * 16}")
    short = ("--data", "t.npz", "--epochs", "2", "--model", "cnn")
    return [
        Command(("golden", "m.tflite", "--samples", "s.npz", "-o", "out/g.npz"), ("out/g.npz",)),
        Command(("run", "m.tflite", "--samples", "s.npz", "-o", "o.npz"), ("o.npz",)),
        Command(("inspect", "m.tflite", "--json", "i.json"), ("i.json",)),
        Command(("bench", "m.tflite", "--seconds", "0.01", "--json", "b.json"), ("b.json",)),
        Command(("evaluate", "m.tflite", "--samples", "s.npz", "--json", "e.json"), ("e.json",)),
        Command(
            ("compare", "m.tflite", "--junit", "a/d.xml", "--json", "b/d.json", "--golden", "g.npz"),
            ("a/d.xml", "b/d.json"),
        ),
        Command(
            ("compare", "m.tflite", "--golden", "g.npz", *limit, "--json", "d.json", "--overwrite"),
            ("d.json",),
            ("d.json",),
        ),
        Command(("report", "drift.json", "-o", "r.html"), ("r.html",)),
        Command(("report", "drift.json", "-o", "r.md"), ("r.md",)),
        Command(
            ("golden", "f.tflite", "--samples", "x.npz", "--labels", "y.npz", "-o", "l.npz"),
            ("l.npz",),
        ),
        Command(
            ("compare", "m.tflite", "--golden", "g.npz", *limit, *layers, "--json", "d.json"),
            ("n.json", "d.json"),
        ),
        Command(
            ("bench", "m.tflite", "--seconds", "0.01", *baseline, "--json", "b.json"),
            ("b.json",),
            ends=(0, 3, 5),
        ),
        Command(
            ("heal", "f.tflite", "m.tflite", *samples, "-o", "h.tflite", "--json", "h.json"),
            ("h.json",),
            ends=(0, 3),
        ),
        Command(("install", "b.tar.xz", "--into", "models", "--allow-unsigned"), installed),
        # Over another one, which goes.
        Command(
            ("install", "b.tar.xz", "--into", "models", "--allow-unsigned", "--keep", "2", "--json", "j.json"),
            (*installed, "j.json"),
            ("models",),
        ),
        # A second time there is nothing to go back to.
        Command(("rollback", "models"), installed, ("models",), ends=(0, 2)),
        Command(
            (*export, "--quantize", "float32,int8", "--samples", "t.npz", "--min-sqnr-db", "1"),
            files,
            (),
            True,
            (0, 3, 5),
        ),
        Command((*export, "--quantize", "float32,int8", "--json", "x.json"), (*files, "x.json"), (), True),
        Command((*export, "--format", "onnx", "--format", "tflite"), (*files, *onnx), (), True),
        Command((*build, "--seconds", "0.01"), (*built, "out/m.tar.xz"), (), True, (0, 3, 5)),
        Command((*build, "--seconds", "0.01", "--folder"), (*built, "out/m.bundle"), (), True, (0, 3, 5)),
        Command(("golden", "m.keras", "--samples", "t.npz", "-o", "out/g.npz"), ("out/g.npz",), (), True),
        Command(("train", *short, "-o", "n.keras", "--json", "t.json"), ("n.keras", "t.json"), (), True),
        Command(("train", *short, "-o", "saved", "--overwrite"), ("saved",), ("saved",), True),
        Command(("train", *short, "-o", "n.h5"), ("n.h5",), (), True),
        Command(
            ("tune", "tune.toml", "-o", "study", "--json", "u.json"),
            ("study/tuning.json", "u.json", "study/trials/*/recipe.toml", "study/trials/*/*.keras"),
            (),
            True,
        ),
    ]  # fmt: skip


RECIPE = """
[data]
train = "t.npz"
[model]
name = "cnn"
[training]
epochs = 1
batch_size = 16
[tune]
trials = 2
objectives = ["accuracy"]
[tune.search]
"training.learning_rate" = {low = 0.001, high = 0.01, log = true}
"""


def prepare(folder: Path, tensorflow: bool) -> None:
    """All that commands read, in `folder`."""
    rng = np.random.default_rng(0)
    x = rng.random((16, 8, 8, 1), np.float32)
    np.savez(folder / "s.npz", image=x, y=np.arange(16) % 5)
    np.savez(folder / "t.npz", image=rng.random((80, 8, 8, 1), np.float32), y=np.arange(80) % 2)
    np.savez(folder / "x.npz", image=x)
    np.savez(folder / "y.npz", y=np.arange(16) % 5)
    shutil.copy(MODELS / "classifier.int8.tflite", folder / "m.tflite")
    shutil.copy(MODELS / "classifier.float32.tflite", folder / "f.tflite")
    (folder / "tune.toml").write_text(RECIPE)
    made = [
        ("golden", "m.tflite", "--samples", "s.npz", "-o", "g.npz"),
        ("compare", "m.tflite", "--golden", "g.npz", "--json", "drift.json"),
        ("bench", "m.tflite", "--seconds", "0.01", "--json", "base.json"),
    ]
    if tensorflow:
        words = ("--data", "t.npz", "--epochs", "1", "--model", "cnn")
        made += [("train", *words, "-o", "m.keras"), ("train", *words, "-o", "before_saved")]
    for each in made:
        done = run(each, folder, lambda: None)
        if done.code:
            raise SystemExit(f"{' '.join(each)}: {done.err}")
    _install(folder)
    shutil.copy(folder / "drift.json", folder / "before_d.json")
    for left in ("cache", "tmp", "m.log.csv", "before_saved.log.csv"):
        path = folder / left
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def _install(folder: Path) -> None:
    """A bundle, and a folder where two others are installed."""
    from edgekit.bundle.install import install

    files = [folder / "f.tflite", folder / "m.tflite"]
    with tempfile.TemporaryDirectory(prefix="edgekit-kills-") as name:
        scratch = Path(name)
        bundles.make(files[1:], folder / "b.tar.xz", scratch)
        for number, some in enumerate((files[:1], files)):
            made = bundles.make(some, scratch / f"{number}.bundle", scratch)
            install(made, folder / "before_models", allow_unsigned=True)


@dataclass(frozen=True)
class Done:
    """How a run ended: exit code, negative for a signal, None where it had to be ended; file operations."""

    code: int | None
    operations: int
    seconds: float
    err: str


def run(
    words: Sequence[str], folder: Path, limit: Callable[[], None], kill: float | None = None
) -> Done:
    """A command in a fork of this process.

    Args:
        folder: its current one, with its cache and temporary files.
        limit: called in the fork before the command.
        kill: after so many seconds.
    """  # fmt: skip
    for name in ("cache", "tmp"):
        (folder / name).mkdir(exist_ok=True)
    # No files: they would meet the limits too.
    out, err = os.pipe()
    fcntl.fcntl(err, fcntl.F_SETPIPE_SZ, 1 << 20)
    _operations[:8] = bytes(8)
    start = time.monotonic()
    pid = os.fork()
    if not pid:
        _child(words, folder, limit, err)
    os.close(err)
    ended = start + (PATIENCE_S if kill is None else kill)
    status = None
    while status is None:
        found, code = os.waitpid(pid, os.WNOHANG)
        if found:
            status = code
        elif time.monotonic() > ended:
            os.kill(pid, signal.SIGKILL)
            status = os.waitpid(pid, 0)[1]
        else:
            time.sleep(0.002)
    seconds = time.monotonic() - start
    _wait_for_orphans()
    with os.fdopen(out, "rb") as stream:
        said = stream.read().decode("utf-8", "replace")
    late = kill is None and seconds > PATIENCE_S
    code = None if late else os.waitstatus_to_exitcode(status)
    return Done(code, int.from_bytes(_operations[:8], "little"), seconds, said)


def _child(words: Sequence[str], folder: Path, limit: Callable[[], None], err: int) -> None:
    code = 70
    try:
        os.chdir(folder)
        os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
        os.environ["TMPDIR"] = tempfile.tempdir = str(folder / "tmp")
        os.dup2(err, 1)
        os.dup2(err, 2)
        from edgekit.cli import main
        from edgekit.supervision import supervised

        limit()
        code = supervised(lambda: main(list(words)))
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        os._exit(code)


# How many operations a fork has done, in memory that it shares.
_operations = mmap.mmap(-1, 8)


def counted(folder: Path, kill_before: int | None = None) -> Callable[[], None]:
    """Counts the operations that change something below `folder`; SIGKILL comes before one of them."""
    root = f"{folder}{os.sep}"

    def hook(event: str, given: tuple[object, ...]) -> None:
        if event == "open":
            path, _, flags = given
            if not isinstance(flags, int) or not flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                return
        elif event in CHANGING:
            path = given[0]
        else:
            return
        if not isinstance(path, (str, bytes)):
            return
        name = os.path.join(os.getcwd(), os.fsdecode(path))  # noqa: PTH109, PTH118
        # What is removed with a whole folder is named from it.
        inside = name.startswith(root) or not os.path.isabs(os.fsdecode(path))  # noqa: PTH117
        if inside:
            number = int.from_bytes(_operations[:8], "little") + 1
            _operations[:8] = number.to_bytes(8, "little")
            if number == kill_before:
                os.kill(os.getpid(), signal.SIGKILL)

    return lambda: sys.addaudithook(hook)


def _wait_for_orphans() -> None:
    """What a killed process had started ends by itself when it sees that."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            found, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not found:
            time.sleep(0.01)
    raise SystemExit("processes of a killed command did not end within a minute")


@dataclass(frozen=True)
class Row:
    """One point: which command, what was done to it, how it ended, and what is wrong with what it left."""

    command: str
    what: str
    ended: str
    faults: tuple[str, ...] = ()


@contextmanager
def point(inputs: Path, command: Command) -> Iterator[Path]:
    """A folder for one point."""
    with tempfile.TemporaryDirectory(prefix="edgekit-kills-") as name:
        folder = Path(name, "p")
        shutil.copytree(inputs, folder, symlinks=True)
        for before in command.before:
            (folder / f"before_{before}").rename(folder / before)
        yield folder


def judge(command: Command, folder: Path, first: Done, what: str) -> Row:
    """Look at what a run left, and run the command again."""
    faults = [f"half-written: {each}" for each in _halves(command, folder)]
    faults += [f"lost: {each}" for each in _lost(command, folder)]
    if first.code not in (*command.ends, -signal.SIGKILL):
        faults += _untold(first)
    again = run(command.words, folder, lambda: None)
    left = [each for each in command.outputs if not list(folder.glob(each))]
    complete = not left and not _halves(command, folder)
    exists = again.code == 2 and EXISTS.search(again.err) is not None
    if not (complete and (again.code in command.ends or exists)):
        faults.append(f"again: exit code {again.code}, without {left}: {again.err[-300:]}")
    elif exists:
        # It looked no further than its outputs. Whoever wants them anew clears up the rest.
        run((*command.words, "--overwrite"), folder, lambda: None)
    hidden = [
        str(path.relative_to(folder)) for path in folder.rglob(".*") if path.name not in LOCKS
    ]
    # Beside it lie sources that TensorFlow generates, and Keras' folders for weights.
    own = (path.name for path in (folder / "tmp").iterdir() if path.name.startswith(".edgekit"))
    hidden += [f"tmp/{name}" for name in own]
    faults += [f"hidden: {each}" for each in hidden]
    ended = f"{first.code}, again {again.code}"
    return Row(command.name, what, ended, tuple(faults))


def _lost(command: Command, folder: Path) -> list[str]:
    """What stood there before, or in what stood there, and is gone."""
    inside = [each for each in command.outputs if Path(each).parts[0] in command.before]
    return [each for each in {*command.before, *inside} if not list(folder.glob(each))]


def _halves(command: Command, folder: Path) -> list[str]:
    """Outputs that are there and not whole."""
    found = [path for pattern in command.outputs for path in folder.glob(pattern)]
    # A link that leads nowhere is there, and no pattern finds it.
    found += [
        path
        for each in command.outputs
        if (path := folder / each).is_symlink() and not path.exists()
    ]
    return [f"{path.relative_to(folder)}: {said}" for path in found if (said := fault(path))]


def _untold(done: Done) -> list[str]:
    """What is wrong with how a command said that the machine lacks something."""
    if done.code == 1 and done.err.strip() and not re.search(r"Traceback|This is a bug", done.err):
        return []
    return [f"untold: exit code {done.code}: {done.err[-400:]}"]


def killed(inputs: Path, command: Command, number: int) -> Row:
    with point(inputs, command) as folder:
        first = run(command.words, folder, counted(folder, number))
        return judge(command, folder, first, f"killed before operation {number}")


def killed_at_random(inputs: Path, command: Command, number: int, seconds: float) -> Row:
    moment = random.Random(f"{command.name} {number}").uniform(0, seconds)
    with point(inputs, command) as folder:
        first = run(command.words, folder, lambda: None, kill=moment)
        return judge(command, folder, first, f"killed at random {number}")


def limited(inputs: Path, command: Command, kind: int, size: int, what: str) -> Row:
    def limit() -> None:
        now = _address_space() if kind == resource.RLIMIT_AS else 0
        resource.setrlimit(kind, (now + size, now + size))

    with point(inputs, command) as folder:
        return judge(command, folder, run(command.words, folder, limit), what)


def full(inputs: Path, command: Command, blocks: int) -> Row:
    """On a disk with so many blocks of 4 KB more than what is read takes, and then with room."""
    used = sum(path.stat().st_size // 4096 + 1 for path in inputs.rglob("*")) + 8
    with tempfile.TemporaryDirectory(prefix="edgekit-kills-") as place:
        _mount("-t", "tmpfs", "-o", f"size={(used + blocks) * 4096}", "tmpfs", place)
        try:
            folder = Path(place, "p")
            shutil.copytree(inputs, folder, symlinks=True)
            for before in command.before:
                (folder / f"before_{before}").rename(folder / before)
            first = run(command.words, folder, lambda: None)
            _mount("-o", "remount,size=1g", place)
            return judge(command, folder, first, f"full disk, {blocks} blocks free")
        finally:
            subprocess.run(["umount", place], check=True)


def _mount(*words: str) -> None:
    subprocess.run(["mount", *words], check=True, capture_output=True)


def _may_mount() -> bool:
    with tempfile.TemporaryDirectory() as place:
        try:
            _mount("-t", "tmpfs", "tmpfs", place)
        except (OSError, subprocess.CalledProcessError):
            return False
        subprocess.run(["umount", place], check=True)
        return True


def _address_space() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def points(
    inputs: Path, command: Command, counts: argparse.Namespace
) -> Iterator[tuple[str, Callable[[], Row]]]:
    """All points of a command, by name; each is tried when it is called."""
    with point(inputs, command) as folder:
        plain = run(command.words, folder, counted(folder))
        if plain.code not in command.ends or (wrong := _halves(command, folder)):
            raise SystemExit(f"{' '.join(command.words)}: {plain.code} {plain.err or wrong}")
    for number in range(1, plain.operations + 1, counts.every):
        yield f"op{number:03}", lambda n=number: killed(inputs, command, n)
    for number in range(counts.random):
        yield (
            f"random{number:03}",
            lambda n=number: killed_at_random(inputs, command, n, plain.seconds),
        )
    for number in range(counts.full):
        size = 4096 * (3 * number)
        yield (
            f"size{number:03}",
            lambda n=size: limited(
                inputs, command, resource.RLIMIT_FSIZE, n, f"files of {n} bytes at most"
            ),
        )
        if _may_mount():
            yield f"disk{number:03}", lambda n=number: full(inputs, command, 1 + 5 * n)
    for number in range(counts.memory):
        size = 1 << (16 + 2 * number)
        yield (
            f"memory{number:03}",
            lambda n=size: limited(inputs, command, resource.RLIMIT_AS, n, f"{n} bytes of memory"),
        )


def preload(tensorflow: bool) -> None:
    """Import what commands need, once for all forks."""
    from edgekit import cli

    for name in cli.COMMANDS:
        cli.command(name)
    import ai_edge_litert.interpreter  # noqa: F401
    import jinja2  # noqa: F401

    if tensorflow:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        os.environ.setdefault("TF_DETERMINISTIC_OPS", "1")
        import optuna  # noqa: F401
        import tensorflow

        import edgekit.convert.request
        import edgekit.train.trainer
        import edgekit.tune.tuning  # noqa: F401
    # Orphans of killed commands become children of this process, which can wait for them then.
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "-o", "--out", type=Path, metavar="FOLDER", help="rows (default: none kept)"
    )
    parser.add_argument("--only", default="", metavar="PATTERN", help="of the commands' names")
    parser.add_argument(
        "--every", type=int, default=1, metavar="N", help="every N-th operation only (default: 1)"
    )
    parser.add_argument(
        "--random", type=int, default=13, metavar="N", help="kills at random moments"
    )
    parser.add_argument("--full", type=int, default=4, metavar="N", help="full disks of each kind")
    parser.add_argument("--memory", type=int, default=4, metavar="N", help="limits of memory")
    parser.add_argument("--slice", action="store_true", help="what takes a few minutes")
    args = parser.parse_args()
    if args.slice:
        args = argparse.Namespace(
            **{**vars(args), "every": 10, "random": 1, "full": 1, "memory": 0}
        )
    chosen = [each for each in commands() if re.search(args.only, each.name)]
    chosen = [each for each in chosen if not (args.slice and each.tensorflow)]
    heavy = any(each.tensorflow for each in chosen)
    preload(heavy)
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="edgekit-kills-") as name:
        inputs = Path(name, "inputs")
        inputs.mkdir()
        prepare(inputs, heavy)
        rows = Path(args.out or Path(name, "rows"))
        rows.mkdir(parents=True, exist_ok=True)
        found = []
        for command in chosen:
            mine = [
                _row(rows / f"{command.name}.{key}.json", make)
                for key, make in points(inputs, command, args)
            ]
            broken = sum(bool(row.faults) for row in mine)
            print(f"{len(mine):4} points, {broken:3} broken  {' '.join(command.words)}", flush=True)
            found += mine
    return summary(found, time.monotonic() - start)


def _row(path: Path, make: Callable[[], Row]) -> Row:
    if path.exists():
        told = json.loads(path.read_text("utf-8"))
        return replace(Row(**told), faults=tuple(told["faults"]))
    row = make()
    for each in row.faults:
        print(f"{row.command}: {row.what}: {each}", flush=True)
    fresh = path.with_suffix(".part")
    fresh.write_text(json.dumps(asdict(row)), "utf-8")
    fresh.rename(path)
    return row


def summary(rows: Sequence[Row], seconds: float) -> int:
    kinds = Counter(fault.partition(":")[0] for row in rows for fault in row.faults)
    what = Counter(re.sub(r"[\d ]+.*| before.*| at most", "", row.what) for row in rows)
    print(f"\n{len(rows)} points in {seconds:.0f} s: {dict(what)}")
    print(
        f"{kinds['half-written']} half-written, {kinds['lost']} lost, {kinds['again']} commands that do "
        f"not succeed when run again, {kinds['hidden']} hidden files left, "
        f"{kinds['untold']} ends without a message"
    )
    return 1 if kinds else 0


if __name__ == "__main__":
    sys.exit(main())
