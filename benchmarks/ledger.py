"""What the files of four networks answer on each processor and interpreter: `edgekit compare --on`, as Markdown.

    python benchmarks/ledger.py -o FOLDER [--only NAME,...] [--on MACHINE,...] [--runtimes NAME,...]

    digits       the demo's network, 719 images of digits
    resnet8      trained on Fashion-MNIST for two epochs, 500 test images
    ds_cnn       trained on spoken digits (FSDD), 300 recordings
    mobilenetv2  160x160 pixels, seeded and untrained (`mobilenet.py`), 16 images

Each is exported to int8 TFLite and int8 ONNX, and asked on every machine with every interpreter that runs the file.
resnet8 and ds_cnn need EDGEKIT_DATA. What lies in FOLDER is not made again: a run that was stopped goes on with the
network that it was at. Machines and interpreters are those of ``--on`` and ``--runtimes``; rows whose interpreter has
no wheel for the machine are left out of the table.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import mobilenet
import numpy as np

from edgekit import document
from edgekit.drift.golden import Golden
from edgekit.drift.ledger import Ledger
from edgekit.files import atomic_folder
from edgekit.report.ledgers import ledger_summary, ledger_table
from edgekit.samples import Samples, load_samples

EXAMPLES = Path(__file__).parents[1] / "examples"
MACHINES = "x86,x86-avx2,x86-sse4,raspberry-pi-3b,raspberry-pi-4b,raspberry-pi-5,armhf"
RUNTIMES = "litert,tflite-runtime,reference,onnxruntime"
EPOCHS = 2
# Reference kernels under an emulator take seconds for an image of 160x160.
IMAGES, CALIBRATION = 16, 100


def edgekit(*words: str | Path) -> int:
    return subprocess.call([sys.executable, "-m", "edgekit", *map(str, words)])


def must(*words: str | Path) -> None:
    if code := edgekit(*words):
        raise SystemExit(code)


def digits(folder: Path) -> None:
    must("demo", "-o", folder / "demo")
    for name in ("digits.int8.tflite", "digits.int8.onnx", "golden.npz"):
        shutil.copy(folder / "demo" / name, folder)


def resnet8(folder: Path) -> None:
    recipe = folder / "fashion_mnist.toml"
    # The example's data, for another network.
    text = (EXAMPLES / recipe.name).read_text("utf-8")
    recipe.write_text(f'{text.partition("[model]")[0]}[model]\nname = "resnet8"\n', "utf-8")
    trained(recipe, "resnet8", folder, 500)


def ds_cnn(folder: Path) -> None:
    trained(EXAMPLES / "fsdd.toml", "ds_cnn", folder, 300)


def mobilenetv2(folder: Path) -> None:
    x = mobilenet.make(folder, CALIBRATION + IMAGES)
    calibration = folder / "calibration.npz"
    np.savez(calibration, x=x[:CALIBRATION])
    exported(folder / mobilenet.NAME, calibration, Samples({"x": x[CALIBRATION:]}), folder)


def trained(recipe: Path, name: str, folder: Path, count: int) -> None:
    """Train what a recipe says, and keep `count` of its test samples."""
    model = folder / f"{name}.keras"
    must("train", recipe, "--epochs", str(EPOCHS), "-o", model)
    exported(model, recipe, load_samples(recipe).subset(count), folder)


def exported(model: Path, calibration: Path, samples: Samples, folder: Path) -> None:
    """int8 files of a model, and the golden file of what it answers to samples."""
    words = ("--format", "tflite,onnx", "--quantize", "int8", "--calibration", calibration)
    must("export", model, *words, "-o", folder)
    Golden.of(str(model), samples).save(folder / "golden.npz")


NETWORKS = {make.__name__: make for make in (digits, resnet8, ds_cnn, mobilenetv2)}


def ledger(name: str, folder: Path, machines: str, runtimes: str) -> Ledger:
    """The ledger of a network, made where it is not there."""
    place, result = folder / name, folder / f"{name}.json"
    if not result.exists():
        if not place.is_dir():
            with atomic_folder(place) as new:
                NETWORKS[name](new)
        files = sorted(place.glob("*.int8.tflite")) + sorted(place.glob("*.int8.onnx"))
        words = ["--on", machines, "--runtimes", runtimes, "--json", result]
        # A row may fail: the document says so.
        edgekit("compare", *files, "--golden", place / "golden.npz", *words)
        if not result.exists():
            raise SystemExit(f"{name}: no ledger was made")
    found = document.load(result)
    assert isinstance(found, Ledger)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-o", "--out", required=True, type=Path, metavar="FOLDER")
    parser.add_argument("--only", default=",".join(NETWORKS), metavar="NAME,...")
    parser.add_argument("--on", default=MACHINES, metavar="MACHINE,...")
    parser.add_argument("--runtimes", default=RUNTIMES, metavar="NAME,...")
    args = parser.parse_args()
    names = args.only.split(",")
    if unknown := set(names) - set(NETWORKS):
        parser.error(
            f"--only: received {', '.join(sorted(unknown))}, expected some of {', '.join(NETWORKS)}"
        )
    args.out.mkdir(parents=True, exist_ok=True)
    for name in names:
        found = ledger(name, args.out, args.on, args.runtimes)
        shown = tuple(cell for cell in found.cells if cell.ran or cell.exit_code)
        kept = replace(found, cells=shown)
        print(f"\n{name}: {found.reference.samples} samples\n")
        print(ledger_table(kept).to_markdown(), flush=True)
        print("\n".join(ledger_summary(kept)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
