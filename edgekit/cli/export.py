"""Convert a Keras model to TFLite and ONNX files, with manifest.json beside them."""

from __future__ import annotations

import argparse
from pathlib import Path

from edgekit.cli.arguments import MODEL_HELP, add_import, add_json, add_out, add_trust_code
from edgekit.cli.budget import budget_of, has_budget
from edgekit.cli.console import Console
from edgekit.cli.export_recipe import (
    add_calibration,
    add_files,
    add_optimizing,
    add_search,
    recipe_of,
)
from edgekit.files import existing
from edgekit.manifest import MANIFEST_NAME, ExportedFile
from edgekit.recipe import Recipe

EXAMPLE = """\
edgekit export model.keras --quantize float32,int8 --calibration samples.npz \\
    -o build"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help=MODEL_HELP)
    add_out(parser, "DIR", "folder to write to")
    add_files(parser)
    add_calibration(parser)
    add_optimizing(parser)
    add_search(parser)
    parser.add_argument(
        "--golden",
        metavar="FILE",
        help="golden file of the model; its hash is stored in the files, and 'edgekit compare' and "
        "'edgekit report' then reject any other golden file (default: none)",
    )
    parser.add_argument(
        "--no-cache",
        dest="cache",
        action="store_false",
        help="convert everything again, and cache nothing for the next export",
    )
    parser.add_argument(
        "--strict",
        action="store_true",
        help="exit with code 1 if a file was skipped or there was a warning",
    )
    add_json(parser)
    add_trust_code(parser)
    add_import(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    existing(args.model, "model file")
    from edgekit.convert import request
    from edgekit.convert.material import Given
    from edgekit.convert.search.goal import goal_of
    from edgekit.samples import Sources

    sources = Sources()
    recipe = recipe_of(args, sources.recipe(args.recipe) if args.recipe else Recipe())
    budget = budget_of(args) if has_budget(args) else None
    if budget is not None:
        console.tell(f"budget: {', '.join(budget.words)}")
    asked = request.Request(
        args.model,
        args.out,
        recipe,
        Given(args.calibration, args.validation, args.data),
        args.golden,
        args.overwrite,
        args.trust_code,
        args.cache,
        goal_of(recipe, budget, samples=args.samples),
    )
    made = request.run(asked, sources, verbose=args.verbose > 1, progress=console.tell)
    lines = [_line(file) for file in made.manifest.files]
    path = Path(args.out, MANIFEST_NAME)
    console.result(made.manifest.to_json(), [*lines, str(path)], args)
    return 1 if args.strict and (made.skipped or made.warnings) else 0


def _line(file: ExportedFile) -> str:
    """A row of the table: size, name, and what computes in float in a file for integers."""
    row = f"{file.artifact.size_bytes / 1000:9.1f} KB  {file.artifact.name}"
    return f"{row}  ({file.float_share})" if file.float_ops else row
