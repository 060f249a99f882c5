"""Run a model on samples and store its answers: float inputs, float outputs, whatever the file's dtypes."""

from __future__ import annotations

import argparse

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
from edgekit.errors import UsageError
from edgekit.outputs import refuse_existing
from edgekit.samples import load_samples, save_npz
from edgekit.samples.prepare import prepared

EXAMPLE = "edgekit run build/model.int8.tflite --samples samples.npz -o answers.npz"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help=FILE_HELP)
    add_samples(parser, "raw samples")
    add_out(parser, "FILE.npz", "answers to write: an array for each output, by its name")
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
        console.tell(f"{runner.artifact.name} on {runner.backend.name} {runner.backend.version}")
    save_npz(args.out, outputs)
    shapes = ", ".join(f"{name} {list(x.shape)}" for name, x in outputs.items())
    console.tell(f"{args.out}: {shapes}")
    return 0
