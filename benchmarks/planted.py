"""Faults that are planted into files have to be named, found, and mended; clean files have to be left alone.

Small networks are trained once on Fashion-MNIST and the Free Spoken Digit Dataset: two classifiers, a U-Net, a
detector and a regression. Into their int8 TFLite files one fault at a time is planted, of 20 kinds, in a place
that is drawn: `edgekit.diagnose` has to name its kind among its first two causes, with the layer where there is
one, and `edgekit.heal` has to bring back what was lost where the file can be mended. Clean files are of other
draws: calibrated on 20 to 256 samples of other choice, fitted or not, judged on 40 to 300.

    EDGEKIT_DATA=../shared/data python benchmarks/planted.py [--folder FOLDER] [--networks a,b] [--seeds 2]
        [--faults a,b] [--clean 20] [--heal] [--json FILE]

Ends with 1 if a clean file is accused, or less than 90 % of the faults are named.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from planted_faults.faults import FAULTS, Broken, World, quantised
from planted_faults.networks import make

import edgekit
from edgekit.convert.tflite.fit import fitted_tflite
from edgekit.diagnose.diagnose import diagnose
from edgekit.diagnose.effects import output_noise
from edgekit.diagnose.heal.heal import heal
from edgekit.document.diagnosis import Diagnosis
from edgekit.drift.golden import Golden
from edgekit.formats.model_file import ModelFile
from edgekit.formats.tflite_check import read_file
from edgekit.samples import Samples

NETWORKS = ("fashion", "fsdd", "unet", "detector", "regression")
# Samples of the golden file.
_JUDGED = 200
# A fault counts that multiplies the noise of the outputs by this; but for one that costs time alone.
_LEAST_COST, _COSTS_NOTHING = 2.0, ("float_operator",)


@dataclass
class Tally:
    """What came of one kind of fault."""

    planted: int = 0
    named: int = 0
    places: int = 0
    placed: int = 0
    recovered: list[float] = field(default_factory=list)


def world_of(folder: Path, name: str) -> World:
    with np.load(folder / f"{name}.npz") as held:
        plain = (folder / f"{name}.tflite").read_bytes()
        return World(name, plain, held["calibration"], held["test"])


def diagnosed(plain: bytes, int8: bytes, samples: Any, folder: Path) -> Diagnosis:
    """What is said of a file beside its float file."""
    paths = folder / "m.float32.tflite", folder / "m.int8.tflite"
    for path, content in zip(paths, (plain, int8), strict=True):
        path.write_bytes(content)
    with (
        edgekit.load(paths[0], verify=False) as theirs,
        edgekit.load(paths[1], verify=False) as ours,
    ):
        return diagnose(Golden.of(theirs, Samples({"x": samples})), ours, theirs)


def recovered(world: World, broken: Broken, folder: Path) -> float:
    """The share of what the fault cost that the healed file has back, on samples that chose nothing."""
    out = folder / "better.int8.tflite"
    out.unlink(missing_ok=True)
    paths = folder / "m.float32.tflite", folder / "m.int8.tflite"
    with (
        edgekit.load(paths[0], verify=False) as theirs,
        edgekit.load(paths[1], verify=False) as ours,
    ):
        calibration, samples = (Samples({"x": x}) for x in (world.calibration, world.test))
        heal(theirs, ours, calibration, samples, out, verify=False)
        clean = folder / "clean.int8.tflite"
        clean.write_bytes(quantised(broken.plain, world.calibration))
        best = out if out.exists() else paths[1]
        with edgekit.load(best, verify=False) as healed, edgekit.load(clean, verify=False) as well:
            answers = [r.infer_batch({"x": world.test}) for r in (theirs, ours, healed, well)]
    wanted = answers[0]
    before, after, least = (
        max(output_noise([x], [each[name]], "tflite") for name, x in wanted.items())
        for each in answers[1:]
    )
    lost = before - least
    return 1.0 if lost <= 0 else float(np.clip((before - after) / lost, 0, 1))


def _cost(world: World, broken: Broken) -> float:
    """What the fault multiplies the noise of the outputs by."""
    lost = []
    for plain, int8 in (
        (broken.plain, broken.int8),
        (world.plain, quantised(world.plain, world.calibration)),
    ):
        answers = [_answers(content, world.test[:_JUDGED]) for content in (plain, int8)]
        lost.append(max(output_noise([x], [y], "tflite") for x, y in zip(*answers, strict=True)))
    return lost[0] / max(lost[1], 1e-12)


def _answers(content: bytes, samples: Any) -> list[Any]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.tflite"
        path.write_bytes(content)
        with edgekit.load(path, verify=False) as runner:
            found = runner.infer_batch({"x": samples})
    return [found[name] for name in sorted(found)]


def clean_files(world: World, count: int) -> Iterator[tuple[str, bytes, Any]]:
    """Files without a fault, and the samples to judge them on."""
    for seed in range(count):
        rng = np.random.default_rng([seed, len(world.name)])
        size = int(rng.choice([20, 50, 100, 256]))
        some = world.calibration[rng.choice(len(world.calibration), size, replace=False)]
        int8 = quantised(world.plain, some)
        fit = bool(rng.random() < 0.5) and size >= 64
        if fit:
            made = ModelFile.read(int8, "tflite")
            plain = read_file(world.plain)
            int8 = fitted_tflite(made, plain, Samples({"x": some}), seed)[0].content
        judged = world.test[rng.permutation(len(world.test))[: int(rng.integers(40, 300))]]
        yield f"{size} samples{', fitted' if fit else ''}, judged on {len(judged)}", int8, judged


def run(args: argparse.Namespace) -> int:
    data = Path(os.environ.get("EDGEKIT_DATA", "../shared/data"))
    folder = Path(args.folder)
    folder.mkdir(parents=True, exist_ok=True)
    names = args.networks.split(",")
    make(folder, data, names, print)
    kinds = args.faults.split(",") if args.faults else list(FAULTS)
    tallies = {kind: Tally() for kind in kinds}
    accused: list[str] = []
    clean = harmless = 0
    with tempfile.TemporaryDirectory() as scratch:
        for name in names:
            world = world_of(folder, name)
            for kind in kinds:
                for seed in range(args.seeds):
                    broken = FAULTS[kind](world, np.random.default_rng([seed, len(kind)]))
                    if broken is None:
                        continue
                    if kind not in _COSTS_NOTHING and _cost(world, broken) < _LEAST_COST:
                        harmless += 1
                    else:
                        _planted(args, world, kind, seed, broken, tallies[kind], Path(scratch))
            for about, int8, judged in clean_files(world, args.clean):
                clean += 1
                found = diagnosed(world.plain, int8, judged, Path(scratch))
                if found.faults or found.verdict != "healthy":
                    said = ", ".join(c.kind for c in found.faults) or found.verdict
                    accused.append(f"{name}, {about}: {said}")
                    print(f"accused without cause: {accused[-1]}", flush=True)
    print(f"planted without a loss, and left out: {harmless}")
    return _told(args, tallies, clean, accused)


def _planted(
    args: argparse.Namespace,
    world: World,
    kind: str,
    seed: int,
    broken: Broken,
    tally: Tally,
    folder: Path,
) -> None:
    found = diagnosed(broken.plain, broken.int8, world.test[:_JUDGED], folder)
    first = found.causes[:2]
    named = any(cause.kind in broken.kinds for cause in first)
    placed = any(cause.tensor == broken.tensor for cause in first)
    tally.planted += 1
    tally.named += named
    if broken.tensor:
        tally.places += 1
        tally.placed += placed
    if not named or (broken.tensor and not placed):
        level = "-" if found.output_db is None else f"{found.output_db:.1f} dB"
        said = "; ".join(f"{c.kind} at {c.tensor[-40:]}" for c in first) or found.verdict
        print(f"{world.name}, {kind}, seed {seed} ({level}): {said}", flush=True)
    if args.heal and broken.curable:
        share = recovered(world, broken, folder)
        tally.recovered.append(share)
        if share < 0.9:
            print(f"{world.name}, {kind}, seed {seed}: {100 * share:.0f} % recovered", flush=True)


def _told(
    args: argparse.Namespace, tallies: dict[str, Tally], clean: int, accused: list[str]
) -> int:
    print(f"{'fault':22} {'planted':>7} {'named':>7} {'layer':>7} {'recovered':>9}")
    for kind, each in tallies.items():
        if each.planted:
            back = f"{100 * np.mean(each.recovered):.0f} %" if each.recovered else "-"
            layer = f"{each.placed}/{each.places}" if each.places else "-"
            print(f"{kind:22} {each.planted:>7} {each.named:>7} {layer:>7} {back:>9}")
    planted, named = (
        sum(getattr(t, key) for t in tallies.values()) for key in ("planted", "named")
    )
    places, placed = (
        sum(getattr(t, key) for t in tallies.values()) for key in ("places", "placed")
    )
    back = [share for t in tallies.values() for share in t.recovered]
    print(f"named {named} of {planted}, layer {placed} of {places}", end="")
    print(f", recovered {100 * np.mean(back):.1f} % of the loss" if back else "")
    print(f"clean files accused: {len(accused)} of {clean}")
    if args.json:
        content = {
            "faults": {kind: vars(each) for kind, each in tallies.items()},
            "clean": clean,
            "accused": accused,
        }
        Path(args.json).write_text(json.dumps(content, indent=2) + "\n", "utf-8")
    return int(bool(accused) or named < 0.9 * planted)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", default="build/planted")
    parser.add_argument("--networks", default=",".join(NETWORKS))
    parser.add_argument("--faults", default="")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--clean", type=int, default=20)
    parser.add_argument("--heal", action="store_true")
    parser.add_argument("--json")
    return run(parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
