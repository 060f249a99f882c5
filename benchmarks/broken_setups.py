"""Set-ups that a stranger breaks by mistake, on trained networks and real data: none may end with exit code 0 and no
word of the cause; sound ones may not be accused.

A small network for each kind of task (see `planted_setups.worlds`) is trained on Fashion-MNIST, MNIST, spoken digits and
movements, as a plain Keras model that records nothing of its training. Its int8 file is judged with every slip of
`planted_setups.slips`, one at a time. A slip counts where it makes the proof worthless: the original's score, or
the file's, falls by a fifth of its way from guessing. Sound set-ups are other draws: of samples, of
calibration samples, of classes.

    EDGEKIT_DATA=../shared/data python benchmarks/broken_setups.py [--folder FOLDER] [--worlds a,b] [--slips a,b]
        [--clean 25] [--state FILE] [--float-file]

With --float-file the original is the float TFLite file, which needs no TensorFlow once the networks are trained.
With --state what is done is kept, and the next run goes on from there. Ends with 1 if a broken set-up passes in
silence, or a sound one is accused.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parent))

from planted_faults.faults import quantised
from planted_setups import worlds
from planted_setups.slips import Slip, decoder, slips
from planted_setups.worlds import TASKS, World

import edgekit
from edgekit.drift.compare import compare
from edgekit.drift.golden import Golden
from edgekit.drift.setup.finding import FEW, ONE_CLASS
from edgekit.drift.tasks.detection import precision_figure
from edgekit.errors import BUDGET_EXCEEDED, INCONCLUSIVE, EdgekitError
from edgekit.files import sha256_of
from edgekit.formats.metadata import Metadata
from edgekit.formats.seen import CALIBRATION
from edgekit.formats.write_metadata import write_tflite
from edgekit.metrics.embeddings import neighbours
from edgekit.metrics.ranking import auc_of
from edgekit.metrics.scores import reconstruction_errors
from edgekit.runtime.runner import Runner
from edgekit.samples import Samples
from edgekit.samples.profile import seen_of

Array = NDArray[Any]
# What a user limits in each kind of task.
LIMITS = {
    "classification": "accuracy_drop <= 5%",
    "multi-label": "f1_drop <= 5%",
    "regression": "sqnr_db >= 5",
    "segmentation": "miou_drop <= 10%",
    "detection": "map50_drop <= 15%",
    "embedding": "neighbour_accuracy_drop <= 5%",
    "anomaly": "auc_drop <= 5%",
    "sequence": "token_error_rate_rise <= 0.05",
}
_HARM = 0.2
_JUDGED = 600


def score(world: World, answers: dict[str, Array], x: Array, y: Array, slip: Slip | None) -> float:
    """How well answers fit labels, 1 at best; NaN where that cannot be told."""
    first = next(iter(answers.values()))
    try:
        if world.task == "classification":
            found = first.argmax(1) if first.shape[1] > 1 else first[:, 0] > 0.5
            wanted = y.argmax(1) if y.ndim > 1 else y
            return float((found == wanted).mean())
        if world.task == "multi-label":
            # Yes is rare: both sides count alike.
            yes, said = y > 0, first > 0.5
            return float((said[yes].mean() + (~said[~yes]).mean()) / 2)
        if world.task == "regression":
            known = np.isfinite(y)
            error = np.abs(np.where(known, first - np.nan_to_num(y), 0)).sum() / known.sum()
            return float(1 - error / np.abs(world.y - np.median(world.y, 0)).mean())
        if world.task == "segmentation":
            return float((first.argmax(-1) == y)[y != 255].mean())
        if world.task == "sequence":
            return float((first.argmax(-1) == y).mean())
        if world.task == "embedding":
            return float((y[neighbours(first, 1)[:, 0]] == y).mean())
        if world.task == "anomaly":
            errors = reconstruction_errors(first, x)
            return float(np.mean([auc_of(errors, y == 1).value]))
        reads = decoder(world, slip.layout if slip else "xyxy")
        assert reads is not None
        size = x.shape[1:3]
        figure = precision_figure(reads.decode(answers, *size), y, "boxes")
        return 0.0 if figure is None or figure.value is None else figure.value
    except (ValueError, IndexError, EdgekitError):
        return float("nan")


def guessing(world: World) -> float:
    """What those get who know the labels alone."""
    y = world.y
    if world.task in ("classification", "segmentation", "sequence", "embedding"):
        return float(np.bincount(y.reshape(-1).astype(int)).max() / y.size)
    return 0.5 if world.task in ("anomaly", "multi-label") else 0.0


def file_of(world: World, variant: str, calibration: Array, folder: Path, ending: str) -> Path:
    """The int8 file, and in its metadata whose it is and what it was calibrated on, as an export writes it."""
    name = variant or world.name
    model = world.folder / f"{'other' if variant == 'other' else world.name}{ending}"
    plain = (world.folder / f"{name}.float32.tflite").read_bytes()
    seen = seen_of(Samples({"x": calibration}), CALIBRATION)
    known = Metadata(source_sha256=sha256_of(model), seen=(seen,))
    path = folder / f"{world.name}.int8.tflite"
    path.write_bytes(
        write_tflite(_quantised(plain, calibration.tobytes(), calibration.shape), known)
    )
    return path


@cache
def _quantised(plain: bytes, calibration: bytes, shape: tuple[int, ...]) -> bytes:
    """Most slips are judged with the same file."""
    return quantised(plain, np.frombuffer(calibration, np.float32).reshape(shape))


@dataclass(frozen=True)
class Judged:
    """What came of a set-up.

    Attributes:
        code: the exit code of `edgekit compare`, or of what refused before it.
        said: every message.
        kinds: of findings, but for those that accuse nobody.
        scores: of the original and of the file.
    """

    code: int
    said: list[str]
    kinds: list[str] = field(default_factory=list)
    scores: tuple[float, float] = (float("nan"), float("nan"))


def judge(
    world: World, original: Runner, file: Path, x: Array, y: Array, slip: Slip | None = None
) -> Judged:
    """Make a golden file of these samples and compare the file, as a user would."""
    reads = decoder(world, slip.layout if slip else "xyxy")
    tasks = None if reads else world.task
    try:
        golden = Golden.of(original, Samples({"x": x}, y), tasks=tasks, decoder=reads)
        limit = edgekit.Limit.parse(LIMITS[world.task])
        with edgekit.load(file, verify=False) as runner:
            drift = compare(golden, [runner], edgekit.DriftBudget(limits=(limit,)))
            given = next(iter(runner.inputs)).name
            answers = runner.infer_batch({given: x})
            own = dict(zip(golden.outputs, answers.values(), strict=True))
            if set(answers) == set(golden.outputs):
                own = answers
    except EdgekitError as error:
        return Judged(error.exit_code, [str(error)])
    (candidate,) = drift.candidates
    found = drift.setup.findings if drift.setup else ()
    code = {"fail": BUDGET_EXCEEDED, "inconclusive": INCONCLUSIVE}.get(candidate.verdict, 0)
    both = ({name: np.asarray(a) for name, a in each.items()} for each in (golden.outputs, own))
    before, after = (score(world, each, x, y, slip) for each in both)
    return Judged(
        code,
        [*(f.sentence for f in found), *candidate.warnings, *candidate.reasons],
        [f.kind for f in found if f.kind not in (FEW, ONE_CLASS)],
        (before, after),
    )


@dataclass
class State:
    """What was done, kept after each step."""

    path: Path | None
    slips: dict[str, dict[str, Any]] = field(default_factory=dict)
    clean: dict[str, list[str]] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path | None) -> State:
        if path is None or not path.exists():
            return cls(path)
        return cls(path, **json.loads(path.read_text("utf-8")))

    def save(self) -> None:
        if self.path is not None:
            held = {"slips": self.slips, "clean": self.clean}
            temporary = self.path.with_suffix(".part")
            temporary.write_text(json.dumps(held, indent=1) + "\n", "utf-8")
            temporary.replace(self.path)


def ending_of(world: World, original: Runner) -> str:
    """How the name of a world's original goes on."""
    return original.artifact.name.removeprefix(world.name)


def plant(world: World, original: Runner, state: State, wanted: list[str], folder: Path) -> None:
    """Judge every slip of a world that is not done yet."""
    sound, ending = None, ending_of(world, original)
    for slip in slips(world):
        key = f"{world.name}: {slip.name}"
        if key in state.slips or (wanted and slip.name not in wanted):
            continue
        if sound is None:
            file = file_of(world, "", world.calibration, folder, ending)
            sound = judge(world, original, file, world.x[:_JUDGED], world.y[:_JUDGED])
        calibration = world.calibration if slip.calibration is None else slip.calibration
        file = file_of(world, slip.variant, calibration, folder, ending)
        found = judge(world, original, file, slip.x[:_JUDGED], slip.y[:_JUDGED], slip)
        least = guessing(world)
        lost = [
            (best - now) / max(best - least, 1e-9)
            for best, now in zip(sound.scores, found.scores, strict=True)
        ]
        refused = np.isnan(found.scores[0])
        harmful = slip.always or refused or max(lost) >= _HARM
        said = "\n".join(found.said)
        state.slips[key] = {
            "code": found.code,
            "harmful": bool(harmful),
            "named": any(word in said for word in slip.words),
            "refused": bool(refused),
            "kinds": found.kinds,
            "scores": [
                round(s, 4) if np.isfinite(s) else None for s in (*sound.scores, *found.scores)
            ],
            "said": found.said,
        }
        state.save()
        row = state.slips[key]
        if harmful and not row["named"]:
            print(f"{key}: exit {found.code}, {row['scores']}; {said[:300]!r}", flush=True)


def draw(world: World, original: Runner, state: State, count: int, folder: Path) -> None:
    """Judge so many sound set-ups of a world: other samples, other calibrations, other classes."""
    for seed in range(count):
        key = f"{world.name}: {seed}"
        if key in state.clean:
            continue
        rng = np.random.default_rng([seed, 7])
        at = rng.permutation(len(world.x))
        if world.task == "classification" and rng.random() < 0.3:
            kinds = rng.permutation(np.unique(world.y))
            kept = np.isin(world.y, kinds[: rng.integers(2, len(kinds) + 1)])
            at = at[kept[at]]
        at = at[: int(rng.choice([20, 50, 100, 200, 400, 1000]))]
        some = rng.permutation(len(world.calibration))[: int(rng.choice([20, 50, 100, 200]))]
        file = file_of(world, "", world.calibration[some], folder, ending_of(world, original))
        found = judge(world, original, file, world.x[at], world.y[at])
        state.clean[key] = found.said if found.kinds or np.isnan(found.scores[0]) else []
        state.save()
        if state.clean[key]:
            print(f"accused: {key}, {len(at)} samples: {found.kinds} {found.said}", flush=True)


def told(state: State) -> int:
    """Print the counts, and the exit code."""
    rows = Counter[tuple[str, str]]()
    silent = []
    for key, row in state.slips.items():
        name = key.partition(": ")[0]
        rows[name, "planted"] += 1
        if not row["harmful"]:
            continue
        rows[name, "harmful"] += 1
        rows[name, "stopped"] += row["code"] != 0
        rows[name, "named"] += row["named"]
        rows[name, "neither"] += row["code"] == 0 and not row["named"]
        if row["code"] == 0 and not row["named"]:
            silent.append(key)
    columns = ("planted", "harmful", "stopped", "named", "neither")
    print(f"{'world':12}" + "".join(f"{c:>9}" for c in (*columns, "sound", "accused")))
    for name in TASKS:
        clean = [v for k, v in state.clean.items() if k.startswith(f"{name}: ")]
        own = [rows[name, c] for c in columns] + [len(clean), sum(map(bool, clean))]
        if any(own):
            print(f"{name:12}" + "".join(f"{n:>9}" for n in own))
    total = [sum(n for (_, c), n in rows.items() if c == column) for column in columns]
    accused = sum(map(bool, state.clean.values()))
    print(f"{'all':12}" + "".join(f"{n:>9}" for n in (*total, len(state.clean), accused)))
    for key in silent:
        print(f"exit 0 without a word: {key}")
    return int(bool(silent) or bool(accused))


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=Path("build/setups"))
    parser.add_argument("--worlds", default=",".join(TASKS))
    parser.add_argument("--slips", default="")
    parser.add_argument("--clean", type=int, default=25)
    parser.add_argument("--state", type=Path)
    parser.add_argument("--float-file", action="store_true")
    args = parser.parse_args()
    names = args.worlds.split(",")
    data = Path(os.environ.get("EDGEKIT_DATA", "../shared/data"))
    worlds.make(args.folder, data, names, print)
    state = State.load(args.state)
    wanted = args.slips.split(",") if args.slips else []
    with tempfile.TemporaryDirectory() as scratch:
        for name in names:
            world = worlds.load(args.folder, name)
            ending = ".float32.tflite" if args.float_file else ".keras"
            with edgekit.load(world.folder / f"{name}{ending}") as original:
                plant(world, original, state, wanted, Path(scratch))
                draw(world, original, state, args.clean, Path(scratch))
    return told(state)


if __name__ == "__main__":
    sys.exit(main())
