"""Make TFLite and ONNX files of a Keras model, and a manifest beside them."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

from edgekit.artifact import FORMATS, SCHEMES
from edgekit.cli.arguments import add_json, add_trust_code
from edgekit.cli.console import Console
from edgekit.files import existing
from edgekit.manifest import MANIFEST_NAME
from edgekit.recipe import (
    CALIBRATION_METHODS,
    ClusterRecipe,
    DistillRecipe,
    ExportRecipe,
    PruneRecipe,
    QatRecipe,
    Recipe,
    read_recipe,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help=".keras, .h5 or a SavedModel folder")
    parser.add_argument("-o", "--output", required=True, metavar="DIR")
    parser.add_argument(
        "--format", action="append", metavar="FORMAT", help=f"{', '.join(FORMATS)}; repeatable"
    )
    parser.add_argument(
        "--quantize", action="append", metavar="SCHEME", help=f"{', '.join(SCHEMES)}; repeatable"
    )
    parser.add_argument(
        "--calibration", metavar="SAMPLES", help="samples that int8 and int16x8 find ranges from"
    )
    parser.add_argument(
        "--calibration-method",
        metavar="METHOD",
        help=f"how ranges follow from them: {', '.join(CALIBRATION_METHODS)}",
    )
    parser.add_argument(
        "--validation", metavar="SAMPLES", help="samples to hold against the ranges found"
    )
    parser.add_argument(
        "--prune", type=float, metavar="SPARSITY", help="share of weights set to zero, in [0, 1)"
    )
    parser.add_argument(
        "--prune-channels",
        type=float,
        metavar="SHARE",
        help="share of the channels that is removed, in [0, 1): a smaller and faster network",
    )
    parser.add_argument(
        "--cluster", type=int, metavar="N", help="distinct weights that each kernel keeps"
    )
    parser.add_argument(
        "--qat", action="store_true", help="train for int8 (quantisation-aware) before the export"
    )
    parser.add_argument(
        "--distill",
        action="store_true",
        help="let every fine-tuning imitate the model as it was; then --data needs no labels",
    )
    parser.add_argument("--data", metavar="SAMPLES", help="labelled samples to fine-tune with")
    parser.add_argument(
        "--golden",
        metavar="FILE",
        help="the model's golden file, for which each file is made: 'compare' takes no other",
    )
    parser.add_argument(
        "--io-dtype",
        metavar="DTYPE",
        help="what int8 files take and give: int8 (default) or float32",
    )
    parser.add_argument("--batch", metavar="N", help="samples an inference (1), or 'dynamic'")
    parser.add_argument(
        "--signature", metavar="NAME", help="of a SavedModel's, where it has several"
    )
    parser.add_argument("--device", metavar="ID", help="the board that the files are for")
    parser.add_argument(
        "--target",
        action="append",
        metavar="INTERPRETER==VERSION",
        help="an interpreter that must run the files, such as tflite-runtime==2.14; repeatable",
    )
    parser.add_argument(
        "--allow-flex",
        action="store_true",
        help="let TensorFlow's own operators into .tflite files where TFLite has none",
    )
    parser.add_argument("--recipe", metavar="FILE", help="TOML file with an [export] table")
    parser.add_argument(
        "--no-cache",
        dest="cache",
        action="store_false",
        help="make everything anew, and keep nothing for the next time",
    )
    add_json(parser)
    add_trust_code(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    existing(args.model, "model file")
    recipe = _recipe(args)
    from edgekit.convert.export import export
    from edgekit.convert.making import CALIBRATED

    # A recipe that names data keeps a part of them for this.
    own = args.recipe if args.recipe and read_recipe(args.recipe).data else None
    calibrated = any(scheme in CALIBRATED for scheme, _ in recipe.pairs)
    tuned = bool(recipe.prune or recipe.cluster or recipe.qat)
    export(
        args.model,
        out=args.output,
        calibration=args.calibration or (own if calibrated else None),
        validation=args.validation,
        data=args.data or (own if tuned else None),
        golden=args.golden,
        recipe=recipe,
        overwrite=args.overwrite,
        trust_code=args.trust_code,
        cache=args.cache,
        verbose=args.verbose > 1,
        progress=console.tell,
    )
    path = Path(args.output, MANIFEST_NAME)
    manifest = json.loads(path.read_text("utf-8"))
    lines = [f"{row['size_bytes'] / 1000:9.1f} KB  {row['path']}" for row in manifest["files"]]
    console.result(manifest, "\n".join([*lines, str(path)]), args)
    return 0


def _recipe(args: argparse.Namespace) -> ExportRecipe:
    recipe = (read_recipe(args.recipe) if args.recipe else Recipe()).export
    if args.quantize:
        recipe = recipe.choose(schemes=args.quantize)
    elif not args.recipe and not args.calibration and not args.qat:
        # Without samples there are no ranges: the float file is what can be made.
        recipe = recipe.choose(schemes=("float32",))
    if args.format:
        recipe = recipe.choose(formats=args.format)
    if args.signature:
        recipe = replace(recipe, signature=args.signature)
    if args.io_dtype:
        recipe = replace(recipe, io_dtype=args.io_dtype)
    if args.calibration_method:
        recipe = replace(recipe, calibration_method=args.calibration_method)
    if args.batch:
        recipe = replace(recipe, batch=args.batch)
    if args.device:
        recipe = replace(recipe, device=args.device)
    if args.target:
        recipe = replace(recipe, targets=tuple(args.target))
    if args.allow_flex:
        recipe = replace(recipe, allow_flex=True)
    pruning = {"sparsity": args.prune, "channels": args.prune_channels}
    if given := {key: value for key, value in pruning.items() if value is not None}:
        prune = replace(recipe.prune, **given) if recipe.prune else PruneRecipe(**given)
        recipe = replace(recipe, prune=prune)
    if args.cluster is not None:
        clusters = recipe.cluster or ClusterRecipe(args.cluster)
        recipe = replace(recipe, cluster=replace(clusters, clusters=args.cluster))
    if args.qat:
        recipe = replace(recipe, qat=recipe.qat or QatRecipe())
    if args.distill:
        recipe = replace(recipe, distill=recipe.distill or DistillRecipe())
    return recipe
