"""Are the exported files the same as before, byte for byte? Hashes of two trees' exports, compared.

    python benchmarks/unchanged.py hash TREE -o FOLDER --models FOLDER [--only demo,fashion,fsdd,corpus]
        [--match PATTERN] [--shard I/N] [--data FOLDER]
    python benchmarks/unchanged.py compare BEFORE AFTER [--excuse metadata,onnx-int8,missing]

`hash` exports, with the edgekit of the checkout TREE, the demo's network, a Fashion-MNIST and a spoken
digits classifier (recipes of examples/, after two epochs), each plain and optimised, and the corpus (the
zoo, 329 models), in all schemes and both formats, without the cache. The models are made once, in the
folder --models: both trees get the same. FOLDER gets a JSON file for each export, with the SHA-256 of
every file, whole and without edgekit's metadata; what is there is not made again, unless it failed, so that
the same command goes on after an end. The first N exports of the corpus are a fair sample of it. Before and
after belong on one machine: floats are summed otherwise on another.

`compare` exits with 1 for anything that differs and that `--excuse` does not name: `metadata` for files
that differ in nothing else, `onnx-int8` for int8 and dynamic ONNX files, whose making measures what
onnxruntime answers, and `missing` for exports that only one folder has.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from fnmatch import fnmatch
from pathlib import Path

try:
    import tomllib
except ModuleNotFoundError:
    import tomli as tomllib

from hashes.cells import GROUPS, cells
from hashes.comparing import EXCUSES, compare, read
from hashes.work import work

# Both trees see these, whatever they would set themselves.
_ENVIRONMENT = {
    "TF_DETERMINISTIC_OPS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "PYTHONHASHSEED": "0",
    "PYTHONDONTWRITEBYTECODE": "1",
}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, dest="command")
    hashing = commands.add_parser("hash", help="export with one tree and write the hashes")
    hashing.add_argument("tree", type=Path, metavar="TREE", help="a checkout of edgekit")
    hashing.add_argument("-o", "--out", type=Path, required=True, metavar="FOLDER")
    hashing.add_argument("--models", type=Path, required=True, metavar="FOLDER")
    hashing.add_argument("--only", type=groups, default=list(GROUPS), metavar=",".join(GROUPS))
    hashing.add_argument(
        "--match", default="*", metavar="PATTERN", help="such as 'corpus/conv2d/*' or '*/qat'"
    )
    hashing.add_argument("--shard", type=shard, default=(1, 1), metavar="I/N")
    hashing.add_argument("--data", default=os.environ.get("EDGEKIT_DATA"), metavar="FOLDER")
    hashing.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    comparing = commands.add_parser("compare", help="compare the hashes of two trees")
    comparing.add_argument("before", type=Path, metavar="BEFORE")
    comparing.add_argument("after", type=Path, metavar="AFTER")
    comparing.add_argument("--excuse", type=excuses, default=[], metavar=",".join(EXCUSES))
    args = parser.parse_args()
    if args.command == "compare":
        return compare(read(args.before), read(args.after), args.excuse)
    if {"fashion", "fsdd"} & {*args.only} and not args.data:
        parser.error(
            "--data FOLDER (or EDGEKIT_DATA) is missing: it holds fashion-mnist/ and fsdd/"
        )
    if not args.work:
        return with_tree(args.tree.resolve(), args.data)
    number, of = args.shard
    chosen = [cell for cell in cells(args.only) if fnmatch(cell.name, args.match)]
    work(chosen[number - 1 :: of], args.out, args.models)
    return 0


def with_tree(tree: Path, data: str | None) -> int:
    """Run this command in a process that has the edgekit of `tree`."""
    own = tree / ".venv" / "bin" / "python"
    with tempfile.TemporaryDirectory(prefix="unchanged-") as folder:
        environment = {
            # Whether oneDNN computes changes what TensorFlow sums up, and which layers it runs.
            "TF_ENABLE_ONEDNN_OPTS": "1",
            **os.environ,
            **_ENVIRONMENT,
            "PYTHONPATH": os.pathsep.join((str(tree), installed(tree, Path(folder)))),
            "XDG_CACHE_HOME": folder,
        }
        if data:
            environment["EDGEKIT_DATA"] = str(Path(data).resolve())
        python = str(own if own.exists() else sys.executable)
        return subprocess.run(
            [python, __file__, *sys.argv[1:], "--work"], env=environment
        ).returncode


def installed(tree: Path, folder: Path) -> str:
    """A folder in which `tree` counts as an installed package: edgekit asks for its own version."""
    project = tomllib.loads((tree / "pyproject.toml").read_text("utf-8"))["project"]
    name, version = project["name"], project.get("version", "0")
    about = folder / "installed" / f"{name.replace('-', '_')}-{version}.dist-info"
    about.mkdir(parents=True)
    text = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    (about / "METADATA").write_text(text, "utf-8")
    return str(about.parent)


def groups(text: str) -> list[str]:
    return _words(text, GROUPS)


def excuses(text: str) -> list[str]:
    return _words(text, EXCUSES)


def _words(text: str, known: tuple[str, ...]) -> list[str]:
    found = text.split(",")
    if unknown := {*found} - {*known}:
        raise argparse.ArgumentTypeError(
            f"{', '.join(sorted(unknown))}: expected {', '.join(known)}"
        )
    return found


def shard(text: str) -> tuple[int, int]:
    number, _, of = text.partition("/")
    if not (number.isdecimal() and of.isdecimal() and 1 <= int(number) <= int(of)):
        raise argparse.ArgumentTypeError(f"{text}: expected I/N, such as 1/2")
    return int(number), int(of)


if __name__ == "__main__":
    sys.exit(main())
