"""How much of the zoo crosses from Keras 3 to tf_keras and back, and why the rest does not.

    python benchmarks/bridge.py [--only PATTERN] [--json FILE]

Each model is rebuilt in tf_keras, cloned there as tensorflow-model-optimization does, and rebuilt in
Keras 3 again; the bridge itself checks both twins against what they were made from, and the last one
is held here against the first model on samples of the zoo.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter
from pathlib import Path
from time import perf_counter
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import zoo

# Of the output's range; two rebuildings may each be off by one tolerance.
LIMIT = 2e-5
OWN = ("Operator", "Carried", "Unmasked")

Row = dict[str, Any]


def carried(model: Any) -> list[str]:
    """Kinds of what runs inside edgekit's own layers."""
    found = []
    for layer in model.layers:
        kind = type(layer).__name__
        if kind in OWN:
            held = getattr(layer, "_held", None)
            found.append(type(held.made).__name__ if held else kind)
    return found


def off(expected: dict[str, Any], received: dict[str, Any]) -> float:
    """Largest difference as a share of the expected range."""
    worst = 0.0
    for name, value in expected.items():
        a, b = np.asarray(value, np.float64), np.asarray(received[name], np.float64)
        span = float(np.ptp(a)) or float(np.max(np.abs(a))) or 1.0
        worst = max(worst, float(np.max(np.abs(a - b))) / span)
    return worst


def examine(entry: zoo.Entry) -> Row:
    import tensorflow as tf
    import tf_keras

    from edgekit.errors import BridgeError
    from edgekit.models.bridge import to_keras, to_tf_keras
    from edgekit.models.source import from_keras

    source = from_keras(Path(entry.name), "keras", entry.build())
    row: Row = {"name": entry.name}
    start = perf_counter()
    try:
        there = to_tf_keras(source).source
        row["there_s"] = perf_counter() - start
        row["layers"], row["carried"] = len(there.model.layers), carried(there.model)
        tf_keras.models.clone_model(there.model)
        start = perf_counter()
        back = to_keras(there).source
        row["back_s"] = perf_counter() - start
    except BridgeError as error:
        row["refused"] = "back" if "there_s" in row else "there"
        return {**row, "reason": str(error)}
    x = {name: tf.constant(value) for name, value in zoo.inputs(entry, 8).items()}
    row["off"] = off(source.call(x), back.call(x))
    if not row["off"] <= LIMIT:
        row["defect"] = f"off by {row['off']:.1e} after both ways"
    return row


def summarise(rows: list[Row]) -> int:
    crossed = [row for row in rows if "off" in row]
    there = [row for row in rows if "there_s" in row]
    native = [row for row in there if not row["carried"]]
    print(f"\n{len(rows)} models: {len(there)} cross to tf_keras, {len(crossed)} return to Keras 3")
    print(
        f"{len(native)} with layers of tf_keras alone, {len(there) - len(native)} with carried ones"
    )
    if crossed:
        seconds = [row["there_s"] for row in crossed], [row["back_s"] for row in crossed]
        there_s, back_s = (float(np.median(side)) for side in seconds)
        print(f"median {there_s:.2f} s there, {back_s:.2f} s back, both verified")
        print(f"largest difference after both ways: {max(row['off'] for row in crossed):.1e}")
    kinds = Counter(kind for row in there for kind in row["carried"])
    print("carried:", ", ".join(f"{kind} {count}" for kind, count in kinds.most_common()))
    for row in rows:
        if "refused" in row:
            print(f"refused on the way {row['refused']}: {row['name']}: {row['reason']}")
    defects = [row for row in rows if "defect" in row]
    print(f"{len(defects)} defects")
    for row in defects:
        print(f"{row['name']}: {row['defect']}")
    return 1 if defects else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="*", metavar="PATTERN", help="names such as 'conv2d/*'")
    parser.add_argument("--json", metavar="FILE", help="every row")
    args = parser.parse_args()
    entries = zoo.select(args.only)
    if not entries:
        parser.error(f"--only {args.only}: no entry of the zoo has such a name")
    rows = []
    for entry in entries:
        try:
            rows.append(examine(entry))
        # Whatever edgekit did not mean to raise is what this looks for.
        except Exception as error:
            text = " ".join(str(error).split())[:300]
            rows.append({"name": entry.name, "defect": f"{type(error).__name__}: {text}"})
        print(f"{entry.name:36} {rows[-1].get('defect') or rows[-1].get('reason') or 'crosses'}")
    if args.json:
        Path(args.json).write_text(json.dumps(rows, indent=1) + "\n", "utf-8")
    return summarise(rows)


if __name__ == "__main__":
    sys.exit(main())
