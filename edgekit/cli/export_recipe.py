"""The options of 'edgekit export' that say what is made, and the recipe that they and --recipe come to."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import Any

from edgekit.artifact import FORMATS, SCHEMES
from edgekit.cli.arguments import add_signature
from edgekit.cli.budget import add_budget, has_budget
from edgekit.cli.values import names, shape, share, whole_number
from edgekit.recipe import (
    CALIBRATION_METHODS,
    MINIMISED,
    QUALITIES,
    ClusterRecipe,
    DistillRecipe,
    ExportRecipe,
    PruneRecipe,
    QatRecipe,
    Recipe,
)


def add_files(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("which files are made")
    for option, metavar, known, default in (
        ("--format", "FORMAT", FORMATS, "tflite"),
        ("--quantize", "SCHEME", SCHEMES, "float32, and int8 with --calibration or --qat"),
    ):
        group.add_argument(
            option,
            type=names,
            action="extend",
            metavar=f"{metavar},...",
            help=f"{', '.join(known)}; several with commas or by repeating the option "
            f"(default: {default})",
        )
    group.add_argument(
        "--file",
        type=names,
        action="extend",
        metavar="SCHEME.FORMAT,...",
        help="files to make, such as int8.tflite,float32.onnx, in place of --quantize and --format, which make every "
        "scheme in every format (default: none)",
    )
    group.add_argument(
        "--io-dtype",
        metavar="DTYPE",
        help="dtype of the inputs and outputs of int8 TFLite files: int8, uint8 or float32 (default: int8)",
    )
    group.add_argument(
        "--batch",
        metavar="N",
        help="samples in one inference, or 'dynamic' for any number (default: 1)",
    )
    group.add_argument(
        "--shape",
        type=shape,
        action="append",
        metavar="INPUT=N,N,...",
        help="shape of an input that has dynamic dimensions in the model, batch first: "
        "image=1,224,224,3; 'dynamic' keeps a dimension dynamic; may be repeated (default: the "
        "model's own)",
    )
    add_signature(group, "convert")
    group.add_argument(
        "--device",
        metavar="ID",
        help="board whose interpreters must run the files: an id from 'edgekit devices list', or the "
        "path of your own profile (.toml) (default: none)",
    )
    group.add_argument(
        "--target",
        type=names,
        action="extend",
        metavar="INTERPRETER==VERSION,...",
        help="interpreters that must run the files, such as tflite-runtime==2.14 (default: none)",
    )
    group.add_argument(
        "--allow-flex",
        action="store_true",
        help="allow TensorFlow's own operators in .tflite files where TFLite lacks an operator",
    )
    group.add_argument(
        "--allow-inaccurate",
        action="store_true",
        help="write even files whose answers differ too much from the model's, with a warning",
    )
    group.add_argument(
        "--integer-only",
        action="store_true",
        help="keep no operator in float, and skip int8 and int16x8 files that would need one, as "
        "accelerators and microcontrollers cannot run them",
    )
    group.add_argument(
        "--quality",
        choices=QUALITIES,
        help="fast rounds each weight by itself; default fits the integers to calibration samples; best uses more "
        f"samples, which may take minutes (default: {ExportRecipe.quality})",
    )
    group.add_argument(
        "--recipe",
        metavar="RECIPE.toml",
        help="recipe with an [export] table; options override it (default: none)",
    )


def add_calibration(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("how int8 and int16x8 are calibrated")
    group.add_argument(
        "--calibration",
        metavar="SAMPLES",
        help="raw samples, without labels, to fit ranges and rounding to (default: the data of "
        "--recipe)",
    )
    group.add_argument(
        "--calibration-method",
        metavar="METHOD",
        help=f"method that chooses the ranges: {', '.join(CALIBRATION_METHODS)} "
        f"(default: {ExportRecipe.calibration_method})",
    )
    group.add_argument(
        "--calibration-samples",
        type=whole_number,
        metavar="N",
        help="largest number of samples to draw from --calibration "
        f"(default: {ExportRecipe.calibration})",
    )
    group.add_argument(
        "--validation",
        metavar="SAMPLES",
        help="raw samples to check the ranges on, different from those for calibration (default: none)",
    )


def add_optimizing(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("optimisation before the export, with fine-tuning")
    group.add_argument(
        "--data",
        metavar="SAMPLES",
        help="labelled raw samples to fine-tune with (default: the data of --recipe)",
    )
    group.add_argument(
        "--prune",
        type=share,
        metavar="SHARE",
        help="share of the weights to set to zero, below 1: 80%% or 0.8 (default: none)",
    )
    group.add_argument(
        "--prune-channels",
        type=share,
        metavar="SHARE",
        help="share of the channels to remove, below 1: 25%% or 0.25 (default: none)",
    )
    group.add_argument(
        "--cluster",
        type=whole_number,
        metavar="N",
        help="number of distinct values that each kernel keeps, 3 to 256 (default: any number)",
    )
    group.add_argument("--qat", action="store_true", help="quantisation-aware training for int8")
    group.add_argument(
        "--distill",
        action="store_true",
        help="distil from the original model in every fine-tuning; --data then needs no labels",
    )


def add_search(parser: argparse.ArgumentParser) -> None:
    group = add_budget(
        parser, "one file a format, the smallest or fastest that meets an accuracy budget"
    )
    group.add_argument(
        "--minimise",
        choices=MINIMISED,
        help=f"what the search minimises within the budget (default: {MINIMISED[0]})",
    )
    group.add_argument(
        "--samples",
        metavar="SAMPLES",
        help="labelled raw samples for the search; most of them only judge the result (default: the "
        "test samples of --recipe)",
    )
    group.add_argument(
        "--time-operators",
        action="store_true",
        help="time each operator on this machine instead of using edgekit's table",
    )


def recipe_of(args: argparse.Namespace, read: Recipe) -> Recipe:
    """What the recipe file says, with what the options say in its place."""
    recipe = read.export
    recipe = recipe.choose(files=args.file, schemes=_schemes(args), formats=args.format)
    plain = {
        "signature": args.signature,
        "imports": args.imports or None,
        "io_dtype": args.io_dtype,
        "calibration": args.calibration_samples,
        "calibration_method": args.calibration_method,
        "quality": args.quality,
        "batch": args.batch or (ExportRecipe.batch if args.shape else None),
        "shape": dict(args.shape) if args.shape else None,
        "device": args.device,
        "targets": args.target,
        "allow_flex": args.allow_flex or None,
        "allow_inaccurate": args.allow_inaccurate or None,
        "integer_only": args.integer_only or None,
        "minimise": args.minimise,
        "time_operators": args.time_operators or None,
    }
    recipe = replace(recipe, **_given(plain), **_given(_optimizing(args, recipe)))
    return replace(read, export=recipe)


def _schemes(args: argparse.Namespace) -> list[str] | None:
    samples = args.recipe or args.calibration or args.qat or args.minimise or has_budget(args)
    if args.quantize or args.file or samples:
        found: list[str] | None = args.quantize
        return found
    # Without samples there are no ranges: the float file is what can be made.
    return ["float32"]


def _optimizing(args: argparse.Namespace, recipe: ExportRecipe) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    if pruning := _given({"sparsity": args.prune, "channels": args.prune_channels}):
        prune = recipe.prune
        changes["prune"] = replace(prune, **pruning) if prune else PruneRecipe(**pruning)
    if args.cluster is not None:
        clusters = recipe.cluster or ClusterRecipe(args.cluster)
        changes["cluster"] = replace(clusters, clusters=args.cluster)
    if args.qat:
        changes["qat"] = recipe.qat or QatRecipe()
    if args.distill:
        changes["distill"] = recipe.distill or DistillRecipe()
    return changes


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}
