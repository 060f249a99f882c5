"""Find out what is wrong with a .tflite or .onnx file: the cause, the layer, and the remedy.

Given the float file of the same model, or the Keras model, every operator is compared with it. A fault is named
only if it alone, put into the float file, causes a good part of the loss. The exit code is 0 for a healthy file, 3
if a fault was found, and 5 if the loss is large but no cause was found.
"""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from dataclasses import replace

from edgekit.cli.arguments import MODEL_HELP, add_json, add_map, add_runner, load_runner, pairs
from edgekit.cli.console import Console
from edgekit.document.diagnosis import FAULTY, UNEXPLAINED, Diagnosis
from edgekit.drift.golden import Golden
from edgekit.errors import BUDGET_EXCEEDED, INCONCLUSIVE, ArtifactError, UsageError
from edgekit.report.diagnoses import diagnosis_lines
from edgekit.runtime.runner import Runner
from edgekit.scratch import scratch_folder

EXAMPLE = """\
edgekit diagnose build/model.int8.tflite --golden golden.npz \\
    --float build/model.float32.tflite"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help=".tflite or .onnx file")
    parser.add_argument(
        "--golden",
        required=True,
        metavar="FILE",
        help="golden file from 'edgekit golden', with samples and the original model's answers",
    )
    plain = parser.add_mutually_exclusive_group()
    plain.add_argument(
        "--float",
        dest="plain",
        metavar="FLOAT",
        help="float file of the same model, in the same format (default: none)",
    )
    plain.add_argument(
        "--model",
        metavar="MODEL",
        help=f"the original model, to make a float file from: {MODEL_HELP} (default: none)",
    )
    add_map(parser)
    add_runner(parser)
    add_json(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    from edgekit.diagnose.diagnose import diagnose

    golden = Golden.load(args.golden)
    with ExitStack() as stack:
        file = stack.enter_context(load_runner(args, args.file))
        plain, layers = None, list[str]()
        if args.plain is not None:
            plain = stack.enter_context(load_runner(args, args.plain))
        elif args.model is not None:
            plain = _converted(args, file, stack, console)
            layers = _layers(args)
        found = diagnose(golden, file, plain, pairs("--map", args.map), layers)
        if args.model is not None:
            found = _of_model(found, args.model)
    console.result(found.to_json(), diagnosis_lines(found), args)
    return {FAULTY: BUDGET_EXCEEDED, UNEXPLAINED: INCONCLUSIVE}.get(found.verdict, 0)


def _of_model(found: Diagnosis, model: str) -> Diagnosis:
    """Named after the model: the float file that was made of it is gone."""
    layers = found.layers and replace(found.layers, reference=model)
    return replace(found, reference=model, layers=layers)


def _layers(args: argparse.Namespace) -> list[str]:
    """The names of a Keras model's layers; none of a SavedModel, which has lost them."""
    from edgekit.models.loading import keras_artifact, load
    from edgekit.models.source import layers_of

    if keras_artifact(args.model).format == "savedmodel":
        return []
    return [layer.name for layer in layers_of(load(args.model, trust_code=args.trust_code).model)]


def _converted(
    args: argparse.Namespace, file: Runner, stack: ExitStack, console: Console
) -> Runner:
    """The float file of a Keras model."""
    from edgekit.convert.export import export

    if file.artifact.format not in ("tflite", "onnx"):
        raise UsageError(
            f"{args.file}: received a Keras model, expected a .tflite or .onnx file. Export it first: edgekit export."
        )
    console.tell(f"making a float file of {args.model}")
    folder, _ = stack.enter_context(scratch_folder())
    result = export(
        args.model,
        out=folder / "float",
        schemes=("float32",),
        formats=(file.artifact.format,),
        trust_code=args.trust_code,
    )
    made = list(result.files)
    if not made:
        raise ArtifactError(
            f"{args.model}: no float file could be made of it. Export it with 'edgekit export' to learn why, and "
            "name the file with --float."
        )
    return stack.enter_context(load_runner(args, made[0].file))
