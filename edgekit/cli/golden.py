"""Store samples together with the original model's answers, so that 'edgekit compare' needs no TensorFlow."""

from __future__ import annotations

import argparse

from edgekit.cli.arguments import (
    MODEL_HELP,
    add_import,
    add_labels,
    add_out,
    add_overwrite,
    add_recipe_of_tasks,
    add_samples,
    add_signature,
    add_task,
    add_trust_code,
    add_verify,
    tasks_of,
)
from edgekit.cli.console import Console
from edgekit.drift.golden import Golden
from edgekit.drift.setup.finding import WARNING
from edgekit.drift.setup.judged import check_reference, score_of
from edgekit.errors import UsageError
from edgekit.outputs import refuse_existing
from edgekit.runtime import load
from edgekit.samples import load_samples
from edgekit.tasks import UNLABELLED

EXAMPLE = "edgekit golden model.keras --samples samples.npz -o golden.npz"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help=f"the original model: {MODEL_HELP}")
    add_samples(parser, "raw samples, with labels if accuracy is to be compared")
    parser.add_argument(
        "--columns",
        metavar="FILE",
        help="further data about each sample, to compare files on slices: a CSV file with a header "
        "line, or an .npz, with one row per sample (default: none)",
    )
    add_labels(parser)
    add_task(parser)
    add_recipe_of_tasks(parser)
    add_out(parser, "FILE.npz", "golden file to write")
    add_signature(parser)
    add_overwrite(parser)
    add_trust_code(parser)
    add_import(parser)
    add_verify(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    refuse_existing([args.out], args.overwrite)
    tasks, decoder = tasks_of(args)
    samples = load_samples(args.samples)
    options = {"trust_code": args.trust_code, "verify": args.verify, "imports": args.imports}
    with load(args.model, **options) as loaded:
        names = loaded.signatures
        if len(names) > 1 and "serving_default" not in names and not args.signature:
            raise UsageError(
                f"{args.model}: has the signatures {', '.join(names)}. Name one: --signature."
            )
        runner = loaded.with_signature(args.signature) if args.signature else loaded
        golden = Golden.of(
            runner, samples, args.columns, tasks, labels=args.labels, decoder=decoder
        )
    golden.save(args.out, overwrite=args.overwrite)
    score = score_of(golden)
    told = f"; columns {', '.join(golden.columns)}" if golden.columns else ""
    kinds = [golden.task, *(f"{name}: {kind}" for name, kind in golden.others.items())]
    about = f"{', '.join(kinds)}{score and f'; {score}'}{told}"
    console.tell(f"{args.out}: {len(samples)} samples, {about}")
    for finding in check_reference(golden):
        word = "warning" if finding.severity == WARNING else "set-up"
        console.say(f"{word}: {finding.sentence}")
    if golden.task == UNLABELLED and samples.labels is not None:
        console.tell(
            f"warning: the labels ({samples.labels.dtype}, {list(samples.labels.shape)}) are not used: "
            "expected one whole number a sample, or values in the shape of an output."
        )
    return 0
