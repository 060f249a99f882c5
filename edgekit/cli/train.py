"""Train a network on labelled samples and save it: a .keras or .h5 file, or a SavedModel folder.

A training that was ended goes on where it was when the same command runs again.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING

from edgekit.cli.arguments import add_json, add_trust_code
from edgekit.cli.console import INTERRUPTED, Console
from edgekit.errors import UsageError
from edgekit.recipe import DataRecipe, Recipe, read_recipe

if TYPE_CHECKING:
    from edgekit.train.machines import Cluster
    from edgekit.train.result import Training


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("recipe", nargs="?", metavar="RECIPE.toml", help="data, model and training")
    parser.add_argument(
        "--model", metavar="NAME", help="a reference architecture, such as cnn, ds_cnn or conv1d"
    )
    parser.add_argument("--data", metavar="SAMPLES", help="labelled samples to train on")
    parser.add_argument("--test", metavar="SAMPLES", help="labelled samples kept apart to the end")
    parser.add_argument("--epochs", type=int, metavar="N", help="passes over the samples")
    parser.add_argument("--seed", type=int, metavar="N", help="of splits, weights and shuffling")
    parser.add_argument("--tensorboard", metavar="DIR", help="write logs for TensorBoard to DIR")
    parser.add_argument(
        "--workers",
        metavar="HOST:PORT,...",
        help="train on several machines: all their addresses, the same list on each; or TF_CONFIG",
    )
    parser.add_argument("--index", type=int, metavar="K", help="which of --workers this is, from 0")
    parser.add_argument("-o", "--output", required=True, metavar="MODEL.keras")
    add_trust_code(parser)
    add_json(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    recipe = _recipe(args)
    assert recipe.data is not None, "_recipe() sees to it"
    from edgekit.models.architectures import check_recipe as check_model
    from edgekit.models.saving import check_path, refuse_saving
    from edgekit.train.checkpoint import Checkpoint
    from edgekit.train.planning import check_recipe
    from edgekit.train.trainer import load_splits, train

    checkpoint = Checkpoint(check_path(args.output))
    if not checkpoint.may_replace_output():
        refuse_saving(checkpoint.output, args.overwrite)
    check_model(recipe.model)
    cluster = _cluster(args)
    if cluster is not None:
        # Before anything else uses TensorFlow.
        return _together(args, recipe, cluster, console)
    check_recipe(recipe)
    try:
        training = train(
            load_splits(recipe.data),
            recipe,
            args.output,
            overwrite=args.overwrite,
            progress=console.tell,
            live=console.live,
            trust_code=args.trust_code,
        )
    except KeyboardInterrupt:
        if not checkpoint.exists():
            raise
        console.tell(
            "edgekit: interrupted; the finished epochs are kept: run the same command again to go on."
        )
        return INTERRUPTED
    console.result(training.to_json(), _text(training), args)
    return 0


def _cluster(args: argparse.Namespace) -> Cluster | None:
    """Who trains together, by the options or else by TensorFlow's own variable; None for this process alone."""
    if (args.workers is None) != (args.index is None):
        raise UsageError("--workers and --index belong together: give both or neither.")
    from edgekit.train.machines import Cluster

    if args.workers is None:
        return Cluster.from_environment()
    return Cluster(tuple(word.strip() for word in args.workers.split(",")), args.index)


def _together(args: argparse.Namespace, recipe: Recipe, cluster: Cluster, console: Console) -> int:
    from edgekit.train.distributed import train_together
    from edgekit.train.trainer import load_splits

    assert recipe.data is not None, "_recipe() sees to it"
    training = train_together(
        load_splits(recipe.data),
        recipe,
        args.output,
        cluster,
        overwrite=args.overwrite,
        progress=console.tell,
        trust_code=args.trust_code,
    )
    if training is None:
        console.tell(f"worker {cluster.index} is done; {cluster.workers[0]} writes {args.output}")
    else:
        console.result(training.to_json(), _text(training), args)
    return 0


def _text(training: Training) -> str:
    scores = [("validation", training.validation), ("test", training.test or {})]
    parts = [
        f"{part} {name.replace('_', ' ')} {value:.4f}"
        for part, values in scores
        for name, value in values.items()
        if name == "accuracy" or "accuracy" not in values
    ]
    return (
        f"{training.path}: {training.parameters:,} parameters, {training.seconds:.0f} s, "
        f"{', '.join(parts)}"
    )


def _recipe(args: argparse.Namespace) -> Recipe:
    """The recipe file, with what the options say in its place."""
    recipe = read_recipe(args.recipe) if args.recipe else Recipe()
    if args.data:
        given = recipe.data or DataRecipe(args.data)
        recipe = replace(recipe, data=replace(given, train=args.data, test=args.test))
    elif args.test and recipe.data:
        recipe = replace(recipe, data=replace(recipe.data, test=args.test))
    if args.model:
        named = replace(recipe.model, name=args.model, function=None, file=None, folder=None)
        recipe = replace(recipe, model=named)
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
