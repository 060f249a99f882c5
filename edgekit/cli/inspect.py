"""Show what a .tflite or .onnx file contains, what it costs, and which interpreters run it.

Any file will do, not only edgekit's: inputs and outputs, operators by dtype, MACs, memory, versions.
"""

from __future__ import annotations

import argparse
from typing import Any

from edgekit.cli.arguments import add_json
from edgekit.cli.console import Console
from edgekit.inspection.inspect import inspect

EXAMPLE = "edgekit inspect build/model.int8.tflite"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help=".tflite or .onnx file")
    add_json(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    found = inspect(args.file).to_json()
    console.result(found, _text(found), args)
    return 0


def _text(found: dict[str, Any]) -> str:
    size = found["artifact"]["size_bytes"]
    lines = [f"{'size':<12} {size:,} bytes, {found['compressed_size_bytes']:,} compressed by xz"]
    for side in ("inputs", "outputs"):
        for spec in found[side]:
            lines.append(f"{side[:-1]:<12} {spec['name']} {spec['dtype']} {spec['shape']}")
    for dtype, counts in found["ops"].items():
        ops = ", ".join(f"{n} {op}" for op, n in counts.items())
        lines.append(f"{'ops':<12} {dtype}: {ops}")
    for row in found["float_ops"]:
        lines.append(f"{'float':<12} {row['op']} ({row['tensor']}): {row['reason']}")
    macs, memory = found["macs"], found["activations"]
    unknown = f", {macs['unknown_layers']} layers unknown" if macs["unknown_layers"] else ""
    lines.append(f"{'MACs':<12} {macs['total']:,}{unknown}")
    if found["shapes"]["reason"]:
        lines.append(f"{'shapes':<12} unknown: {found['shapes']['reason']}")
    held = ", ".join(f"{dtype} {n:,}" for dtype, n in found["weights"]["by_dtype"].items())
    lines.append(f"{'weights':<12} {found['weights']['bytes']:,} bytes: {held}")
    peak = memory["peak_arena_bytes"]
    lines.append(
        f"{'activations':<12} {memory['sum_bytes']:,} bytes, arena about "
        f"{'unknown' if peak is None else f'{peak:,}'} (estimate)"
    )
    delegate = found["delegate"]
    if delegate["reason"]:
        lines.append(f"{'XNNPACK':<12} unknown: {delegate['reason']}")
    else:
        outside = ", ".join(row["op"] for row in delegate["outside"]) or "none"
        lines.append(f"{'XNNPACK':<12} {delegate['partitions']} partitions, outside: {outside}")
    for name, versions in found["loadable_by"].items():
        said = f"{versions[0]} to {versions[-1]} ({len(versions)})" if versions else "none measured"
        lines.append(f"{'runs on':<12} {name} {said}")
    return "\n".join(lines)
