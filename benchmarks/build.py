"""What `edgekit build` costs: a second build, and the first beside the same commands one by one.

    python benchmarks/build.py [--turns N]

A small convolutional network with random weights on 16x16x1, files int8.tflite and float32.tflite, without the export
cache. Prints seconds: of the six commands in a row, each a process of its own; of one build; of the same build again,
in which nothing has changed (1 s is asked for); and of an import of Python and edgekit alone, which is in all of them.
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
        print(
            f"a second build: {found['again']:.2f} s, {'met' if found['again'] < 1 else 'MISSED'} (1 s)"
        )


if __name__ == "__main__":
    main()
