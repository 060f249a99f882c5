"""Is a tree as fast as another? Ratios after / before, of two checkouts, in turns in one run.

    python benchmarks/before_after.py BEFORE AFTER [--turns N] [--only SECTION,...]

Both checkouts are packed as wheels, unpacked and compiled, as pip would, and run on this Python and its
packages. Sections:

    size       bytes of the package that the wheel holds
    import     `import edgekit`
    cold       a process that imports edgekit, loads an int8 TFLite file and answers once
    digits     export of the demo's files: five TFLite, two ONNX, and int8 after pruning
    mobilenet  export of a MobileNetV2 160x160: float32 and int8, TFLite and ONNX, 100 images
    demo       the command `edgekit demo`, from its start to its report

Exports begin with TensorFlow imported, each time in a fresh process, and without the cache. `import` and
`cold` take ten times the turns. Of processor time too a ratio is given: on a busy machine trust that.
"""

from __future__ import annotations

import argparse
import compileall
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from time import perf_counter

HERE = Path(__file__).resolve().parent
_IMPORT = "from time import perf_counter as now; t = now(); import edgekit; print(now() - t)"
_COLD = """
import sys, numpy as np, edgekit
with edgekit.load(sys.argv[1]) as runner:
    (given,) = runner.inputs
    runner.infer_raw({given.name: np.zeros(given.shape, given.dtype)})
"""

# Wall and processor seconds.
Times = tuple[float, float]


@dataclass(frozen=True)
class Side:
    """One of the two checkouts, unpacked.

    Attributes:
        name: ``"before"`` or ``"after"``.
        package: the folder that stands first on its processes' path.
        work: a folder of its own; holds ``digits.int8.tflite`` once exports were prepared.
        models: the folder of models and samples, which both have.
    """

    name: str
    package: Path
    work: Path
    models: Path

    def run(self, *words: str | Path) -> tuple[str, Times]:
        """What a fresh Python prints, and what it took with all its children."""
        used, start = _children(), perf_counter()
        done = subprocess.run(
            [sys.executable, *map(str, words)],
            capture_output=True,
            text=True,
            cwd=self.work,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join((str(self.package), str(HERE))),
                "TF_CPP_MIN_LOG_LEVEL": "3",
                "XDG_CACHE_HOME": str(self.work / "cache"),
            },
        )
        times = perf_counter() - start, _children() - used
        if done.returncode:
            raise SystemExit(f"{self.name}: {words[:3]} failed:\n{done.stderr[-3000:]}")
        return done.stdout, times

    def child(self, work: str) -> Times:
        """What a function of this file says that it took, in a process of this side's."""
        with tempfile.TemporaryDirectory(dir=self.work) as out:
            printed, _ = self.run(Path(__file__).resolve(), "--child", work, self.models, out)
        *_, wall, processor = printed.split()
        return float(wall), float(processor)


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def unpacked(tree: Path, folder: Path) -> Path:
    """The wheel of a checkout, unpacked and compiled in `folder`."""
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "-w", str(folder), str(tree)], check=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "package")
    compileall.compile_dir(folder / "package", quiet=1)
    return folder / "package"


def size(side: Side) -> int:
    files = (side.package / "edgekit").rglob("*")
    return sum(p.stat().st_size for p in files if p.is_file() and p.suffix != ".pyc")


def importing(side: Side) -> Times:
    printed, (_, processor) = side.run("-c", _IMPORT)
    return float(printed), processor


def cold(side: Side) -> Times:
    return side.run("-c", _COLD, side.work / "digits.int8.tflite")[1]


def demo(side: Side) -> Times:
    with tempfile.TemporaryDirectory(dir=side.work) as out:
        return side.run("-m", "edgekit", "demo", "-o", Path(out, "demo"))[1]


def digits(side: Side) -> Times:
    return side.child("digits")


def mobilenet(side: Side) -> Times:
    return side.child("mobilenet")


# What measures a section, and how many turns it takes for each that is asked for.
SECTIONS: dict[str, tuple[Callable[[Side], Times], int]] = {
    "import": (importing, 10),
    "cold": (cold, 10),
    "digits": (digits, 1),
    "mobilenet": (mobilenet, 1),
    "demo": (demo, 1),
}


def child(work: str, models: Path, out: Path) -> None:
    """In a process of one side's: do some work, and print what it took."""
    if work == "prepare":
        prepare(models)
        return
    import keras  # noqa: F401
    import tensorflow  # noqa: F401

    start, used = perf_counter(), sum(os.times()[:4])
    {"digits": export_digits, "mobilenet": export_mobilenet, "int8": export_int8}[work](models, out)
    print(perf_counter() - start, sum(os.times()[:4]) - used)


def prepare(models: Path) -> None:
    import numpy as np
    from hashes.models import digits as make_digits
    from mobilenet import make

    make_digits(models)
    np.savez(models / "images.npz", x=make(models, images=100))


def export_int8(models: Path, out: Path) -> None:
    """The file of the cold start: each side has its own, whose metadata it knows."""
    import edgekit

    samples = edgekit.load_samples(models / "calibration.npz")
    edgekit.export(
        models / "digits.keras",
        out=out.parent,
        schemes=("int8",),
        formats=("tflite",),
        calibration=samples,
        cache=False,
    )


def export_digits(models: Path, out: Path) -> None:
    """In one go where the tree's recipe takes pairs of scheme and format, as its demo then does."""
    import edgekit
    from edgekit.recipe import ExportRecipe, PruneRecipe

    model, samples = models / "digits.keras", edgekit.load_samples(models / "calibration.npz")
    given = {"out": out, "calibration": samples, "cache": False}
    schemes = ("float32", "float16", "dynamic", "int8", "int16x8")
    if "files" in {field.name for field in fields(ExportRecipe)}:
        names = (*(f"{scheme}.tflite" for scheme in schemes), "float32.onnx", "int8.onnx")
        edgekit.export(model, recipe=ExportRecipe(files=names), **given)
    else:
        edgekit.export(model, schemes=schemes, formats=("tflite",), **given)
        edgekit.export(model, schemes=("float32", "int8"), formats=("onnx",), **given)
    pruned = ExportRecipe(prune=PruneRecipe(sparsity=0.5, epochs=10, learning_rate=0.001))
    int8 = {"schemes": ("int8",), "formats": ("tflite",)}
    edgekit.export(model, recipe=pruned, data=samples, **int8, **given)


def export_mobilenet(models: Path, out: Path) -> None:
    from mobilenet import NAME

    import edgekit

    edgekit.export(
        models / NAME,
        out=out,
        schemes=("float32", "int8"),
        formats=("tflite", "onnx"),
        calibration=edgekit.load_samples(models / "images.npz"),
        cache=False,
    )


def compare(name: str, sides: list[Side], turns: int) -> None:
    """Both sides in turns, each time another first; of short work, a turn before them warms up."""
    taken: dict[str, list[Times]] = {side.name: [] for side in sides}
    measure, times_as_many = SECTIONS[name]
    for turn in range(0 if times_as_many > 1 else 1, turns * times_as_many + 1):
        for side in sides if turn % 2 else reversed(sides):
            times = measure(side)
            if turn:
                taken[side.name].append(times)
    for kind, place in (("wall", 0), ("processor", 1)):
        before, after = ([each[place] for each in taken[side.name]] for side in sides)
        ratios = [b / a for a, b in zip(before, after, strict=True) if a]
        if not ratios:
            continue
        print(
            f"{name:10} {kind:9} after / before {statistics.median(ratios):6.3f}   "
            f"({min(ratios):.3f} to {max(ratios):.3f} in {len(ratios)} turns; medians "
            f"{statistics.median(before):.4f} s, {statistics.median(after):.4f} s)",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    known = ("size", *SECTIONS)
    if sys.argv[1:2] == ["--child"]:
        work, *folders = sys.argv[2:]
        child(work, *map(Path, folders))
        return
    parser.add_argument("before", type=Path, metavar="BEFORE", help="a checkout of edgekit")
    parser.add_argument("after", type=Path, metavar="AFTER", help="another")
    parser.add_argument("--turns", type=int, default=3, metavar="N", help="of each export (3)")
    parser.add_argument("--only", default=",".join(known), metavar="SECTION,...")
    args = parser.parse_args()
    chosen = args.only.split(",")
    if unknown := {*chosen} - {*known}:
        parser.error(f"--only {','.join(sorted(unknown))}: expected {', '.join(known)}")
    with tempfile.TemporaryDirectory(prefix="before-after-") as name:
        sides = []
        for which in ("before", "after"):
            work = Path(name, which)
            package = unpacked(getattr(args, which).resolve(), work)
            sides.append(Side(which, package, work, Path(name, "models")))
        measure_all(sides, chosen, args.turns)


def measure_all(sides: list[Side], chosen: list[str], turns: int) -> None:
    if "size" in chosen:
        before, after = map(size, sides)
        print(f"size       after / before {after / before:6.3f}   ({before:,} and {after:,} bytes)")
    if {"cold", "digits", "mobilenet"} & {*chosen}:
        sides[0].models.mkdir()
        sides[0].run(
            Path(__file__).resolve(), "--child", "prepare", sides[0].models, sides[0].models
        )
    if "cold" in chosen:
        for side in sides:
            side.child("int8")
    for section in SECTIONS:
        if section in chosen:
            compare(section, sides, turns)


if __name__ == "__main__":
    main()
