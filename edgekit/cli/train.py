"""Train a network on labelled samples and save it as a Keras 3 model.

A training that was ended goes on where it was when the same command runs again.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from edgekit.cli.arguments import add_json
from edgekit.cli.console import INTERRUPTED, Console
from edgekit.errors import UsageError
from edgekit.files import refuse_existing
from edgekit.recipe import DataRecipe, Recipe, read_recipe


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("recipe", nargs="?", metavar="RECIPE.toml", help="data, model and training")
    parser.add_argument(
        "--model", metavar="NAME", help="a reference architecture: cnn, resnet8, mlp"
    )
    parser.add_argument("--data", metavar="SAMPLES", help="labelled samples to train on")
    parser.add_argument("--test", metavar="SAMPLES", help="labelled samples kept apart to the end")
    parser.add_argument("--epochs", type=int, metavar="N", help="passes over the samples")
    parser.add_argument("--seed", type=int, metavar="N", help="of splits, weights and shuffling")
    parser.add_argument("--tensorboard", metavar="DIR", help="write logs for TensorBoard to DIR")
    parser.add_argument("-o", "--output", required=True, metavar="MODEL.keras")
    add_json(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    recipe = _recipe(args)
    if Path(args.output).suffix != ".keras":
        raise UsageError(
            f"--output: received {args.output!r}, expected a name that ends in .keras."
        )
    assert recipe.data is not None, "_recipe() sees to it"
    from edgekit.models.architectures import check_name
    from edgekit.train.checkpoint import Checkpoint
    from edgekit.train.planning import check_recipe
    from edgekit.train.trainer import load_splits, train

    checkpoint = Checkpoint(Path(args.output))
    if not checkpoint.may_replace_output():
        refuse_existing([args.output], args.overwrite)
    check_name(recipe.model.name)
    check_recipe(recipe)
    try:
        training = train(
            load_splits(recipe.data),
            recipe,
            args.output,
            overwrite=args.overwrite,
            progress=console.tell,
            live=console.live,
        )
    except KeyboardInterrupt:
        if not checkpoint.exists():
            raise
        console.tell(
            "edgekit: interrupted; the finished epochs are kept: run the same command again to go on."
        )
        return INTERRUPTED
    scores = [("validation", training.validation), ("test", training.test or {})]
    parts = [
        f"{part} {name.replace('_', ' ')} {value:.4f}"
        for part, values in scores
        for name, value in values.items()
        if name == "accuracy" or "accuracy" not in values
    ]
    text = (
        f"{training.path}: {training.parameters:,} parameters, {training.seconds:.0f} s, "
        f"{', '.join(parts)}"
    )
    console.result(training.to_json(), text, args)
    return 0


def _recipe(args: argparse.Namespace) -> Recipe:
    """The recipe file, with what the options say in its place."""
    recipe = read_recipe(args.recipe) if args.recipe else Recipe()
    if args.data:
        given = recipe.data or DataRecipe(args.data)
        recipe = replace(recipe, data=replace(given, train=args.data, test=args.test))
    elif args.test and recipe.data:
        recipe = replace(recipe, data=replace(recipe.data, test=args.test))
    if args.model:
        recipe = replace(recipe, model=replace(recipe.model, name=args.model))
    if recipe.data is None:
        raise UsageError("no data: give a RECIPE.toml with a [data] table, or --data SAMPLES.")
    training, data = recipe.training, recipe.data
    if args.epochs is not None:
        training = replace(training, epochs=args.epochs)
    if args.tensorboard is not None:
        training = replace(training, tensorboard=args.tensorboard)
    if args.seed is not None:
        training = replace(training, seed=args.seed)
        data = replace(data, seed=args.seed)
    return replace(recipe, data=data, training=training)
