"""Run a model on samples and store its answers: float inputs, float outputs, whatever the file's dtypes.

For a detector whose file stores a decoder, the objects in each image are printed.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from edgekit.cli.arguments import (
    FILE_HELP,
    add_out,
    add_overwrite,
    add_runner,
    add_samples,
    add_signature,
    load_runner,
)
from edgekit.cli.console import Console
from edgekit.detection import Detection
from edgekit.drift.frames import frames_of
from edgekit.drift.tasks.detection import decoded
from edgekit.errors import UsageError
from edgekit.outputs import refuse_existing
from edgekit.runtime.runner import Runner
from edgekit.samples import FileArray, Samples, load_samples, save_npz
from edgekit.samples.prepare import prepared

EXAMPLE = "edgekit run build/model.int8.tflite --samples samples.npz -o answers.npz"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help=FILE_HELP)
    add_samples(parser, "raw samples")
    add_out(parser, "FILE.npz", "file for the answers: one array per output, under its name")
    add_signature(parser)
    add_runner(parser)
    add_overwrite(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    if not args.out.endswith(".npz"):
        raise UsageError(f"--out: received {args.out!r}, expected a name that ends in .npz.")
    refuse_existing([args.out], args.overwrite)
    samples = load_samples(args.samples)
    with load_runner(args, args.file) as loaded:
        runner = loaded.with_signature(args.signature) if args.signature else loaded
        fitting = prepared(samples, runner.metadata, runner.inputs)
        outputs = runner.infer_batch(fitting.inputs)
        found = _objects(samples, fitting, runner, outputs)
        console.tell(f"{runner.artifact.name} on {runner.backend.name} {runner.backend.version}")
    save_npz(args.out, outputs)
    shapes = ", ".join(f"{name} {list(x.shape)}" for name, x in outputs.items())
    console.tell(f"{args.out}: {shapes}")
    console.lines(found)
    return 0


def _objects(
    samples: Samples, fitting: Samples, runner: Runner, outputs: Mapping[str, NDArray[Any]]
) -> list[str]:
    """A line for each object in each image, where the file says how its outputs become boxes."""
    metadata = runner.metadata
    frames = frames_of(samples, metadata) if metadata.decoder else None
    if metadata.decoder is None or frames is None:
        return []
    (seen,) = fitting.inputs.values()
    (given,) = samples.inputs.values()
    names = (
        given.names if isinstance(given, FileArray) else [f"sample {k}" for k in range(len(given))]
    )
    lines = []
    for name, boxes in zip(
        names, decoded(metadata.decoder, outputs, seen.shape[1:3], frames), strict=True
    ):
        lines += [f"{name}: {line}" for line in map(_line, boxes.named(metadata.class_names))]
        if not len(boxes):
            lines.append(f"{name}: nothing found")
    return lines


def _line(found: Detection) -> str:
    edges = ", ".join(f"{edge:.1f}" for edge in found.box)
    return f"{found.name} {100 * found.score:.1f} %, left, top, right, bottom: {edges}"
