"""What processes that share a study save, what it costs beside bare training, and a Pareto front of the digits.

    python benchmarks/tune.py [--trials N]

The demo's digits, `examples/tune_digits.toml`. Trials serial and with two processes, on as many
trials and with the same seed; prints seconds, ratios and the front as a table.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from time import perf_counter

from edgekit.build.demo import digits
from edgekit.report.tuning import front_table
from edgekit.tune.tuning import Tuning, tune

EXAMPLE = Path(__file__).parents[1] / "examples" / "tune_digits.toml"


def study(folder: Path, trials: int, workers: int) -> tuple[Tuning, float]:
    start = perf_counter()
    tuning = tune(
        folder / "study.toml", folder / f"workers{workers}", trials=trials, workers=workers
    )
    return tuning, perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=12)
    trials = parser.parse_args().trials
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        digits().train.save(folder / "digits.npz")
        text = EXAMPLE.read_text("utf-8")
        (folder / "study.toml").write_text(
            text.replace("../build/demo/digits.train.npz", "digits.npz"), "utf-8"
        )
        # TensorFlow's import is everybody's, and no part of a search.
        study(folder, 1, 1)
        one, serial = study(folder, 1 + trials, 1)
        inside = sum(trial.seconds or 0 for trial in one.trials[1:])
        pruned = [trial.state for trial in one.trials].count("pruned")
        _, together = study(folder, trials, 2)
        print(f"{trials} trials, one process      {serial:7.1f} s, {pruned} of them given up early")
        print(f"of which training and export {inside:7.1f} s")
        print(
            f"{trials} trials, two processes    {together:7.1f} s, {serial / together:.2f} times as fast"
        )
        print()
        print(front_table(one).to_text(), end="")


if __name__ == "__main__":
    main()
