"""Train a network on labelled samples and save it as a Keras 3 model."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from edgekit.cli.arguments import add_json
from edgekit.cli.console import Console
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
    parser.add_argument("-o", "--output", required=True, metavar="MODEL.keras")
    add_json(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    recipe = _recipe(args)
    if Path(args.output).suffix != ".keras":
        raise UsageError(
            f"--output: received {args.output!r}, expected a name that ends in .keras."
        )
    refuse_existing([args.output], args.overwrite)
    assert recipe.data is not None, "_recipe() sees to it"
    from edgekit.models.architectures import check_name
    from edgekit.train.trainer import load_splits, train

    check_name(recipe.model.name)
    splits = load_splits(recipe.data)
    training = train(splits, recipe, args.output, overwrite=args.overwrite, progress=console.tell)
    test = training.test_accuracy
    text = (
        f"{training.path}: {training.parameters:,} parameters, {training.seconds:.0f} s, validation "
        f"accuracy {training.validation_accuracy:.4f}"
        + ("" if test is None else f", test accuracy {test:.4f}")
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
    if args.seed is not None:
        training = replace(training, seed=args.seed)
        data = replace(data, seed=args.seed)
    return replace(recipe, data=data, training=training)
