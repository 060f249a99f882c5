"""The commands that write, and what they read."""

from __future__ import annotations

import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import bundles
import numpy as np

from killing.forks import run

MODELS = Path(__file__).parents[2] / "tests" / "models"
# Nobody has its identity.
RECIPIENT = "age1vtaa8r58y269a7qp469uvlplzqjgf06p7sxk6s2ljc67u45dlfhqusxw00"


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
    seal = ("seal", "b.tar.xz", "--recipient", RECIPIENT)
    short = ("--data", "t.npz", "--epochs", "2", "--architecture", "cnn")
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
        Command(("diff", "f.tflite", "m.tflite", "--samples", "x.npz", "--json", "c.json"), ("c.json",)),
        Command(
            ("diagnose", "m.tflite", "--golden", "g.npz", "--float", "f.tflite", "--json", "w.json"),
            ("w.json",),
            ends=(0, 3),
        ),
        Command(("doctor", "--json", "a/h.json"), ("a/h.json",)),
        Command(("verify", "b.tar.xz", "--allow-unsigned", "--json", "v.json"), ("v.json",)),
        Command(("selftest", "b.tar.xz", "--json", "k.json"), ("k.json",)),
        Command((*seal, "-o", "out/s.tar.xz", "--json", "k.json"), ("out/s.tar.xz", "k.json")),
        Command((*seal, "-o", "out/s.bundle", "--json", "k.json"), ("out/s.bundle", "k.json")),
        Command((*seal, "-o", "b.bundle", "--overwrite"), ("b.bundle",), ("b.bundle",)),
        Command(("golden", "m.tflite", "--samples", "s.npz", "-o", "o.npz", "--overwrite"), ("o.npz",), ("o.npz",)),
        Command(("report", "drift.json", "-o", "r.html", "--overwrite"), ("r.html",), ("r.html",)),
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
        Command((*build, "--seconds", "0.01", "--unpacked"), (*built, "out/m.bundle"), (), True, (0, 3, 5)),
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
        ("report", "drift.json", "-o", "before_r.html"),
    ]
    if tensorflow:
        words = ("--data", "t.npz", "--epochs", "1", "--architecture", "cnn")
        made += [("train", *words, "-o", "m.keras"), ("train", *words, "-o", "before_saved")]
    for each in made:
        done = run(each, folder, lambda: None)
        if done.code:
            raise SystemExit(f"{' '.join(each)}: {done.err}")
    _install(folder)
    shutil.copy(folder / "drift.json", folder / "before_d.json")
    shutil.copy(folder / "g.npz", folder / "before_o.npz")
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
        bundles.make(files[1:], folder / "before_b.bundle", scratch)
        for number, some in enumerate((files[:1], files)):
            made = bundles.make(some, scratch / f"{number}.bundle", scratch)
            install(made, folder / "before_models", allow_unsigned=True)
