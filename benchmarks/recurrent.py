"""What int8 costs recurrent networks over long series: an LSTM on FSDD, a GRU on BasicMotions.

    EDGEKIT_DATA=FOLDER python benchmarks/recurrent.py [-o DIR] [--epochs N]

Each is trained by its recipe in examples/, with the network changed and, for the LSTM, frames twice as
close: 61 steps of 20 mel bins, and 100 steps of six channels. A row for each file: accuracy on the test
samples, SQNR of its scores against the float32 file's, bytes, and the median of an inference on one
thread. Models that lie in DIR are not trained again. All seeds are 0.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

import edgekit
from edgekit.cli import main as edgekit_command
from edgekit.recipe import read_recipe
from edgekit.samples import load_splits

EXAMPLES = Path(__file__).parents[1] / "examples"
# Which recipe, and what is changed in it.
NETWORKS = {
    "lstm": (
        "fsdd.toml",
        {
            '"ds_cnn"': '"lstm"',
            "frame_step = 256": "frame_step = 128",
            "learning_rate = 0.004": "learning_rate = 0.003",
        },
    ),
    "gru": (
        "basic_motions.toml",
        {'"conv1d"': '"gru"', "learning_rate = 0.002": "learning_rate = 0.01"},
    ),
}
RUNS = 300


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--out", type=Path, metavar="DIR")
    parser.add_argument("--epochs", type=int, default=30, metavar="N")
    args = parser.parse_args()
    with TemporaryDirectory() as folder:
        out = args.out or Path(folder)
        out.mkdir(parents=True, exist_ok=True)
        for name in NETWORKS:
            measure(name, out, args.epochs)


def measure(name: str, out: Path, epochs: int) -> None:
    example, changes = NETWORKS[name]
    text = (EXAMPLES / example).read_text()
    for old, new in changes.items():
        text = text.replace(old, new)
    lines = [f"epochs = {epochs}" if x.startswith("epochs") else x for x in text.splitlines()]
    recipe, model = out / f"{name}.toml", out / f"{name}.keras"
    recipe.write_text("\n".join(lines))
    if not model.exists() and edgekit_command(["train", str(recipe), "-o", str(model)]):
        raise SystemExit(1)
    files = edgekit.export(
        model, out=out / name, recipe=recipe, calibration=recipe, overwrite=True, cache=False
    )
    data = read_recipe(recipe).data
    assert data is not None, "the examples name their data"
    test = load_splits(data).part("test")
    reference = None
    for file in files:
        with edgekit.load(file.path) as runner:
            (x,) = runner.preprocess(
                {runner.inputs[0].name: np.stack(list(test.inputs["x"]))}
            ).values()
            scores = runner.infer_batch({runner.inputs[0].name: x})[runner.outputs[0].name]
            times = []
            for _ in range(RUNS):
                start = time.perf_counter()
                runner.infer({runner.inputs[0].name: x[:1]})
                times.append(time.perf_counter() - start)
        reference = scores if reference is None else reference
        noise = np.square(scores - reference).mean()
        sqnr = 10 * np.log10(np.square(reference).mean() / noise) if noise else np.inf
        right = float((scores.argmax(-1) == test.labels).mean())
        print(
            f"| {file.name} | {100 * right:.1f} % | {sqnr:.1f} dB | {file.size_bytes} | "
            f"{1e6 * np.median(times):.0f} us |",
            flush=True,
        )
    for skipped in files.skipped:
        print(f"{name}: {skipped.format} {skipped.scheme}: {skipped.reason}")


if __name__ == "__main__":
    main()
