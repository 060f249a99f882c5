"""Freeze samples, labels and what the original model answers, so that a board can compare without TensorFlow."""

from __future__ import annotations

import argparse

from edgekit.cli.arguments import SAMPLES_HELP, add_overwrite, add_trust_code, add_verify
from edgekit.cli.console import Console
from edgekit.drift.golden import UNLABELLED, Golden
from edgekit.errors import UsageError
from edgekit.files import refuse_existing
from edgekit.runtime import load
from edgekit.samples import load_samples


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="the original: .keras, .h5 or a SavedModel")
    parser.add_argument("--samples", required=True, metavar="SAMPLES", help=SAMPLES_HELP)
    parser.add_argument("-o", "--output", required=True, metavar="FILE.npz")
    parser.add_argument("--signature", metavar="NAME", help="of the model's, where it has several")
    add_overwrite(parser)
    add_trust_code(parser)
    add_verify(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    refuse_existing([args.output], args.overwrite)
    samples = load_samples(args.samples)
    with load(args.model, trust_code=args.trust_code, verify=args.verify) as loaded:
        names = loaded.signatures
        if len(names) > 1 and "serving_default" not in names and not args.signature:
            raise UsageError(
                f"{args.model}: has the signatures {', '.join(names)}. Name one: --signature."
            )
        runner = loaded.with_signature(args.signature) if args.signature else loaded
        golden = Golden.of(runner, samples)
    golden.save(args.output, overwrite=args.overwrite)
    console.tell(f"{args.output}: {len(samples)} samples, {golden.task}")
    if golden.task == UNLABELLED and samples.labels is not None:
        console.tell(
            f"warning: the labels ({samples.labels.dtype}, {list(samples.labels.shape)}) are not used: "
            "expected whole numbers, one a sample, or values in the shape of an output."
        )
    return 0
