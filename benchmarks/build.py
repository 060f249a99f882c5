"""What `edgekit build` costs, a second build of the same, and the verification of a large bundle.

    python benchmarks/build.py [--turns N]

A small convolutional network with random weights on 16x16x1, files int8.tflite and float32.tflite, without the export
cache. Prints seconds: of the six commands in a row, each a process of its own; of one build; of the same build again,
in which nothing has changed (1 s is asked for); and of an import of Python and edgekit alone, which is in all of them.
Then `edgekit verify` of a signed bundle with a file of 100 MB, as a folder and as an archive (2 s).
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import numpy as np
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from edgekit import document
from edgekit.bundle.archive import write_archive
from edgekit.bundle.contents import NAME, SIGNATURE, Bundle, BundledFile, digests_of
from edgekit.bundle.signature import sign
from edgekit.files import sha256_of

MAKE = """
import sys
import keras, numpy as np
keras.utils.set_random_seed(0)
inputs = keras.Input((16, 16, 1), name="image")
x = inputs
for i, channels in enumerate((8, 16, 32)):
    x = keras.layers.Conv2D(channels, 3, strides=2, padding="same", activation="relu", name=f"conv{i}")(x)
x = keras.layers.GlobalAveragePooling2D(name="average")(x)
model = keras.Model(inputs, keras.layers.Dense(10, activation="softmax", name="scores")(x))
model.save("m.keras")
x = np.random.default_rng(0).random((300, 16, 16, 1), np.float32)
np.savez("s.npz", x=x, y=model.predict(x, verbose=0).argmax(1))
np.savez("c.npz", x=x[:100])
"""
FILES = ("--file", "int8.tflite,float32.tflite")
SECONDS = ("--seconds", "0.1")
PAIR = ("one/m.int8.tflite", "one/m.float32.tflite")


def took(work: Callable[[], object]) -> float:
    start = perf_counter()
    work()
    return perf_counter() - start


def verify_large(folder: Path, edgekit: Callable[..., None]) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    pem = serialization.Encoding.PEM
    (folder / "k.pem").write_bytes(
        private.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    public = private.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
    (folder / "k.pub.pem").write_bytes(public)
    bundle = folder / "large.bundle"
    bundle.mkdir()
    (bundle / "m.tflite").write_bytes(np.random.default_rng(0).bytes(100_000_000))
    file = BundledFile("m.tflite", "model", sha256_of(bundle / "m.tflite"), 100_000_000)
    document.write(bundle / NAME, Bundle("m", None, (file,)).to_json())
    (bundle / SIGNATURE).write_bytes(sign(digests_of(bundle), "m", folder / "k.pem"))
    write_archive(bundle, folder / "large.tar.xz")
    for name in ("large.bundle", "large.tar.xz"):
        seconds = took(lambda name=name: edgekit("verify", name, "--public-key", "k.pub.pem"))  # type: ignore[misc]
        print(f"verify {name}: {seconds:.2f} s, {'met' if seconds < 2 else 'MISSED'} (2 s)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=3)
    turns = parser.parse_args().turns
    with tempfile.TemporaryDirectory() as folder:
        place = {**os.environ, "XDG_CACHE_HOME": f"{folder}/cache", "TF_CPP_MIN_LOG_LEVEL": "3"}

        def python(*words: str) -> None:
            done = subprocess.run(
                [sys.executable, *words],
                cwd=folder,
                env=place,
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                sys.exit(done.stderr)

        def edgekit(*words: str) -> None:
            python("-m", "edgekit", *words)

        def by_hand() -> None:
            edgekit(
                "export", "m.keras", "--calibration", "c.npz", *FILES, "-o", "one", "--no-cache"
            )
            edgekit("golden", "m.keras", "--samples", "s.npz", "-o", "one/golden.npz")
            edgekit("compare", *PAIR, "--golden", "one/golden.npz", "--json", "one/drift.json")
            edgekit("bench", *PAIR, *SECONDS, "--json", "one/bench.json")
            documents = [f"one/{name}.json" for name in ("manifest", "drift", "bench")]
            edgekit("report", *documents, "-o", "one/report.html")

        def build() -> None:
            edgekit(
                "build",
                "m.keras",
                "--calibration",
                "c.npz",
                "--samples",
                "s.npz",
                *FILES,
                *SECONDS,
                "-o",
                "all",
            )

        python("-c", MAKE)
        times: dict[str, list[float]] = {"by hand": [], "build": [], "again": [], "import": []}
        for _ in range(turns):
            for name in ("one", "all", "cache"):
                shutil.rmtree(Path(folder, name), ignore_errors=True)
            times["by hand"].append(took(by_hand))
            shutil.rmtree(Path(folder, "cache"), ignore_errors=True)
            times["build"].append(took(build))
            times["again"].append(took(build))
            times["import"].append(took(lambda: python("-c", "import edgekit.cli")))
        found = {name: statistics.median(each) for name, each in times.items()}
        for name, seconds in found.items():
            print(
                f"{name:8} {seconds:7.2f} s   {seconds / found['by hand']:.3f} of the commands by hand"
            )
        verify_large(Path(folder), edgekit)
        print(
            f"a second build: {found['again']:.2f} s, {'met' if found['again'] < 1 else 'MISSED'} (1 s)"
        )


if __name__ == "__main__":
    main()
