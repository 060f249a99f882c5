"""Convert a Keras model to TFLite and ONNX files, with manifest.json beside them."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from edgekit.cli.arguments import MODEL_HELP, add_json, add_out, add_trust_code
from edgekit.cli.console import Console
from edgekit.cli.export_recipe import add_calibration, add_files, add_optimizing, recipe_of
from edgekit.files import existing
from edgekit.manifest import MANIFEST_NAME
from edgekit.recipe import read_recipe

EXAMPLE = """\
edgekit export model.keras --quantize float32,int8 --calibration samples.npz \\
    -o build"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help=MODEL_HELP)
    add_out(parser, "DIR", "folder to write to")
    add_files(parser)
    add_calibration(parser)
    add_optimizing(parser)
    parser.add_argument(
        "--golden",
        metavar="FILE",
        help="golden file of the model, to tie the files to: 'edgekit compare' and 'edgekit report' "
        "then reject any other golden file (default: none)",
    )
    parser.add_argument(
        "--no-cache",
        dest="cache",
        action="store_false",
        help="convert everything anew, and store nothing for the next export",
    )
    add_json(parser)
    add_trust_code(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    existing(args.model, "model file")
    recipe = recipe_of(args)
    from edgekit.convert.export import export
    from edgekit.convert.making import CALIBRATED

    # A recipe that names data keeps a part of them for this.
    own = args.recipe if args.recipe and read_recipe(args.recipe).data else None
    calibrated = any(scheme in CALIBRATED for scheme, _ in recipe.pairs)
    tuned = bool(recipe.prune or recipe.cluster or recipe.qat)
    export(
        args.model,
        out=args.out,
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
    path = Path(args.out, MANIFEST_NAME)
    manifest = json.loads(path.read_text("utf-8"))
    lines = [f"{row['size_bytes'] / 1000:9.1f} KB  {row['path']}" for row in manifest["files"]]
    console.result(manifest, "\n".join([*lines, str(path)]), args)
    return 0
