"""Whether a bundle's self-test is right: false alarms on machines that keep the promise, and faults that it must catch.

    python benchmarks/selftests.py -o FOLDER [--only NAME,...] [--on MACHINE,...]

Bundles of five networks, with every scheme of both formats, are built here, then tested by ``edgekit devices run
--selftest`` on each machine: this one's Python on older processors (``x86-avx2``, ``x86-sse4``), and emulated Raspberry
Pis of 64 and 32 bits. Each verdict that is no pass is a false alarm; at most one in a hundred is asked for. Then faults
are planted in copies of each bundle, each in every model file. What lies in FOLDER is not made again. fashion, spoken
and motions need EDGEKIT_DATA.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx

from edgekit import document
from edgekit.bundle.archive import opened_folder
from edgekit.bundle.contents import MODEL, NAME, PROMISE, Bundle, digests_of
from edgekit.bundle.promise import Promise
from edgekit.bundle.selftest import PASS, selftest
from edgekit.files import atomic, atomic_folder
from edgekit.formats.tflite_check import read_file
from edgekit.formats.tflite_file import buffer_place
from edgekit.samples import load_samples

EXAMPLES = Path(__file__).parents[1] / "examples"
OTHERS = Path(__file__).parents[1] / "tests" / "models"
HERE = ("x86-avx2", "x86-sse4")
BOARDS = ("raspberry-pi-3b", "raspberry-pi-3b/32", "raspberry-pi-4b", "raspberry-pi-5")
TFLITE = "float32,float16,dynamic,int8,int16x8,int8-weights,int4-weights"
ONNX = "float32,float16,dynamic,int8"
EPOCHS = 2


def run(*words: str | Path) -> int:
    return subprocess.call([sys.executable, "-m", "edgekit", *map(str, words)])


def recipe(name: str, network: str, folder: Path) -> Path:
    """An example's recipe, for another network."""
    path = folder / f"{name}.{network}.toml"
    before, _, after = (EXAMPLES / f"{name}.toml").read_text("utf-8").partition("[model]\n")
    _, _, rest = after.partition("\n\n")
    path.write_text(f'{before}[model]\nname = "{network}"\n\n{rest}', "utf-8")
    return path


NETWORKS = {
    "fashion-resnet8": ("fashion_mnist", "resnet8"),
    "fashion-mobilenet": ("fashion_mnist", "mobilenet_v1"),
    "spoken-ds_cnn": ("fsdd", "ds_cnn"),
    "motions-lstm": ("basic_motions", "lstm"),
    "motions-conv1d": ("basic_motions", "conv1d"),
}


def made(name: str, folder: Path) -> Path:
    """The bundle of a network, built where it is not there."""
    place = folder / name
    if not place.is_dir():
        example, network = NETWORKS[name]
        with atomic_folder(place) as new:
            way = recipe(example, network, new)
            model = new / "model.keras"
            if run("train", way, "--epochs", str(EPOCHS), "-o", model):
                raise SystemExit(f"{name}: was not trained")
            samples = load_samples(way)
            samples.subset(min(200, len(samples))).save(new / "samples.npz")
            files = [f"{s}.tflite" for s in TFLITE.split(",")] + [
                f"{s}.onnx" for s in ONNX.split(",")
            ]
            words = (
                "--file",
                ",".join(files),
                "--calibration",
                way,
                "--recipe",
                way,
                "--samples",
                new / "samples.npz",
            )
            # Trained for a moment: whether it is any good is not asked here.
            free = (
                "--min-sqnr-db",
                "-100",
                "--allow-inaccurate",
                "--allow-inconclusive",
                "--seconds",
                "0.01",
            )
            code = run("build", model, *words, *free, "-o", new / "build")
            if code or not list((new / "build").glob("*.tar.xz")):
                raise SystemExit(f"{name}: no bundle was built, exit code {code}")
    return next((place / "build").glob("*.tar.xz"))


def verdicts(bundle: Path, machine: str, result: Path) -> list[dict[str, object]]:
    """The self-test of each file on a machine, asked where that was not done."""
    if not result.exists():
        board, _, bits = machine.partition("/")
        words = ["--bits", bits] if bits else []
        with TemporaryDirectory() as out:
            run(
                "devices",
                "run",
                f"emulated:{board}",
                *words,
                "--selftest",
                bundle,
                "-o",
                Path(out, "board"),
            )
            found = sorted(Path(out).rglob("selftest.json"))
            if not found:
                raise SystemExit(f"{machine}: gave no self-test of {bundle}")
            with atomic(result) as temporary:
                shutil.copy(found[0], temporary)
    files: list[dict[str, object]] = json.loads(result.read_text("utf-8"))["files"]
    return files


Plant = Callable[[Path, Path, np.random.Generator], None]


def a_bit(folder: Path, file: Path, rng: np.random.Generator) -> None:
    """One bit in a file's middle half, where weights lie."""
    del folder
    content = bytearray(file.read_bytes())
    at = int(rng.integers(len(content) // 4, 3 * len(content) // 4))
    content[at] ^= 1 << int(rng.integers(8))
    file.write_bytes(content)


def other_weights(folder: Path, file: Path, rng: np.random.Generator) -> None:
    """The largest tensor backwards, listed as if it were right: a build that took another training's file."""
    del rng
    content = bytearray(file.read_bytes())
    if file.suffix == ".onnx":
        proto = onnx.load_from_string(bytes(content))
        tensor = max(proto.graph.initializer, key=lambda tensor: len(tensor.raw_data))
        size = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)).itemsize
        tensor.raw_data = backwards(tensor.raw_data, size)
        content = bytearray(proto.SerializeToString())
    else:
        at, size = max(
            map(buffer_place, read_file(bytes(content)).buffers), key=lambda place: place[1]
        )
        width = 4 if "float32" in file.name or "dynamic" in file.name else 1
        content[at : at + size] = backwards(bytes(content[at : at + size]), width)
    file.write_bytes(content)
    listed_anew(folder)


def backwards(raw: bytes, width: int) -> bytes:
    return np.frombuffer(raw, f"V{width}")[::-1].tobytes()


def another_model(folder: Path, file: Path, rng: np.random.Generator) -> None:
    """A file of another model under this one's name, listed as if it were right."""
    del rng
    shutil.copy(OTHERS / f"classifier.int8{file.suffix}", file)
    listed_anew(folder)


def preparation(folder: Path, file: Path, rng: np.random.Generator) -> None:
    """Samples that reach the model four times smaller than where the bundle was made."""
    del file, rng
    path = promise_of(folder)
    promise = Promise.load(path)
    smaller = {name: (x / 4).astype(x.dtype) for name, x in promise.inputs.items()}
    replace(promise, inputs=smaller).save(path)
    listed_anew(folder)


def kernel(folder: Path, file: Path, rng: np.random.Generator) -> None:
    """Answers whose every second channel saturates, by what is promised: as a kernel with narrow sums gives them."""
    del rng
    path = promise_of(folder)
    promise = Promise.load(path)
    answers = dict(promise.answers)
    for name, own in answers.items():
        if folder / name == file:
            answers[name] = {
                output: np.where(np.arange(x.shape[-1]) % 2, np.minimum(x, np.median(x)), x).astype(
                    x.dtype
                )
                for output, x in own.items()
            }
    replace(promise, answers=answers).save(path)
    listed_anew(folder)


def promise_of(folder: Path) -> Path:
    (file,) = bundle_of(folder).of_role(PROMISE)
    return folder / file.path


def bundle_of(folder: Path) -> Bundle:
    return Bundle.load(folder / NAME)


def listed_anew(folder: Path) -> None:
    """What lies there, listed with its hashes as if it had been built so."""
    contents, digests = bundle_of(folder), digests_of(folder)
    files = tuple(replace(file, sha256=digests[file.path]) for file in contents.files)
    document.write(folder / NAME, replace(contents, files=files).to_json())


PLANTS: dict[str, Plant] = {
    plant.__name__: plant for plant in (a_bit, other_weights, another_model, preparation, kernel)
}


def planted(bundle: Path) -> Iterator[tuple[str, str, bool]]:
    """Each fault in each file: its name, the file, and whether the self-test fails."""
    rng = np.random.default_rng(0)
    with opened_folder(bundle) as folder:
        names = [file.path for file in bundle_of(folder).of_role(MODEL)]
        for name in names:
            for title, plant in PLANTS.items():
                with TemporaryDirectory() as scratch:
                    copy = Path(scratch, "bundle")
                    shutil.copytree(folder, copy)
                    plant(copy, copy / name, rng)
                    found = selftest(copy)
                    own = [file.verdict for file in found.files if file.path == name]
                    yield title, name, bool(found.problems) or own not in ([PASS], [])


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-o", "--out", required=True, type=Path, metavar="FOLDER")
    parser.add_argument("--only", default=",".join(NETWORKS), metavar="NAME,...")
    parser.add_argument("--on", default=",".join((*HERE, *BOARDS)), metavar="MACHINE,...")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    alarms: Counter[str] = Counter()
    asked: Counter[str] = Counter()
    left: Counter[str] = Counter()
    caught: dict[str, Counter[bool]] = {name: Counter() for name in PLANTS}
    for name in args.only.split(","):
        bundle = made(name, args.out)
        for machine in args.on.split(","):
            result = args.out / f"{name}.{machine.replace('/', '-')}.json"
            for file in verdicts(bundle, machine, result):
                asked[machine] += file["verdict"] != "left out"
                left[machine] += file["verdict"] == "left out"
                if file["verdict"] == "fail":
                    alarms[machine] += 1
                    print(
                        f"false alarm: {name} on {machine}: {file['path']}: {file['reason']} ({file['error']})"
                    )
        result = args.out / f"{name}.planted.json"
        if not result.exists():
            document.write(result, list(planted(bundle)))  # type: ignore[arg-type]
        for fault, file, seen in json.loads(result.read_text("utf-8")):
            caught[fault][seen] += 1
            if not seen:
                print(f"missed: {name}: {fault} in {file}")
    print("\n| machine | files tested | false alarms | left out |\n| --- | ---: | ---: | ---: |")
    for machine in args.on.split(","):
        print(f"| {machine} | {asked[machine]} | {alarms[machine]} | {left[machine]} |")
    print("\n| planted | caught |\n| --- | ---: |")
    for fault, counts in caught.items():
        print(f"| {fault.replace('_', ' ')} | {counts[True]} of {counts.total()} |")
    return int(
        bool(
            sum(alarms.values()) > sum(asked.values()) / 100
            or any(c[False] for c in caught.values())
        )
    )


if __name__ == "__main__":
    sys.exit(main())
