"""Run a model file on samples: float in, float out, whatever the file is."""

from __future__ import annotations

import argparse

from edgekit.cli.arguments import SAMPLES_HELP, add_overwrite, add_runner, load_runner
from edgekit.cli.console import Console
from edgekit.errors import UsageError
from edgekit.files import refuse_existing
from edgekit.samples import load_samples, save_npz
from edgekit.samples.prepare import prepared


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("artifact", metavar="ARTIFACT", help=".tflite, .onnx or a Keras model")
    parser.add_argument("--input", required=True, metavar="SAMPLES", help=SAMPLES_HELP)
    parser.add_argument("-o", "--output", required=True, metavar="OUT.npz")
    parser.add_argument("--signature", metavar="NAME", help="of the file's, where it has several")
    add_runner(parser)
    add_overwrite(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    if not args.output.endswith(".npz"):
        raise UsageError(f"--output: received {args.output!r}, expected a name that ends in .npz.")
    refuse_existing([args.output], args.overwrite)
    samples = load_samples(args.input)
    with load_runner(args, args.artifact) as loaded:
        runner = loaded.with_signature(args.signature) if args.signature else loaded
        fitting = prepared(samples, runner.metadata, runner.inputs)
        outputs = runner.infer_batch(fitting.inputs)
        console.tell(f"{runner.artifact.name} on {runner.backend.name} {runner.backend.version}")
    save_npz(args.output, outputs)
    shapes = ", ".join(f"{name} {list(x.shape)}" for name, x in outputs.items())
    console.tell(f"{args.output}: {shapes}")
    return 0
