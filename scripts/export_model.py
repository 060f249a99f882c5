#!/usr/bin/env python3
"""Export a Keras model inside budgets: files, a manifest and a verdict, for a build pipeline.

    scripts/export_model.py MODEL.keras CALIBRATION.npz SAMPLES.npz OUT_DIR MAX_ACCURACY_DROP

The files are judged on SAMPLES.npz, which must not be those that calibrated them: 368 or more for a limit
of one point. MAX_ACCURACY_DROP is a share: 1% or 0.01. Exit codes are edgekit's: 0 fine, 1 failed, 2 wrong
usage, 3 budget exceeded, 4 a dependency is missing, 5 too few samples to tell.
"""

import sys
from pathlib import Path

from edgekit.cli import main


def run(model: str, calibration: str, samples: str, out: str, max_drop: str) -> int:
    golden = f"{out}/golden.npz"
    schemes = ["--quantize", "float32,int8", "--calibration", calibration]
    for step in (
        ["export", model, "-o", out, *schemes, "--json", f"{out}/export.json", "--overwrite"],
        ["golden", model, "--samples", samples, "-o", golden, "--overwrite"],
    ):
        if code := main(step):
            return code
    files = [str(path) for path in sorted(Path(out).glob(f"{Path(model).stem}.*.tflite"))]
    budget = ["--max-accuracy-drop", max_drop]
    drift = ["--json", f"{out}/drift.json", "--junit", f"{out}/drift.xml", "--overwrite"]
    return main(["compare", *files, "--golden", golden, *budget, *drift])


if __name__ == "__main__":
    if len(sys.argv) != 6:
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    sys.exit(run(*sys.argv[1:]))
