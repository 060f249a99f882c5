"""Train a network on labelled samples and save it as a .keras or .h5 file or a SavedModel folder.

Run the same command again to resume an interrupted training.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING

from edgekit.cli.arguments import add_json, add_out, add_trust_code
from edgekit.cli.console import Console
from edgekit.cli.values import names, whole_number
from edgekit.errors import UsageError
from edgekit.interruption import INTERRUPTED
from edgekit.recipe import DataRecipe, ModelRecipe, Recipe, TrainingRecipe, read_recipe

if TYPE_CHECKING:
    from edgekit.document.training import Training
    from edgekit.train.machines import Cluster


EXAMPLE = "edgekit train --data samples.npz --architecture cnn --epochs 20 -o model.keras"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "recipe",
        nargs="?",
        metavar="RECIPE.toml",
        help="recipe with the tables [data], [model] and [training]; options override it",
    )
    parser.add_argument(
        "--architecture",
        metavar="NAME",
        help="reference architecture, such as cnn, ds_cnn or conv1d "
        f"(default: what the recipe says, or {ModelRecipe.name})",
    )
    parser.add_argument(
        "--data",
        metavar="SAMPLES",
        help="labelled raw samples to train on, a tenth of which is kept for validation "
        "(default: what the recipe says)",
    )
    parser.add_argument(
        "--test",
        metavar="SAMPLES",
        help="labelled raw samples to score the trained model on (default: what the recipe says)",
    )
    parser.add_argument(
        "--epochs",
        type=whole_number,
        metavar="N",
        help=f"passes over the samples (default: what the recipe says, or {TrainingRecipe.epochs})",
    )
    parser.add_argument(
        "--seed",
        type=whole_number,
        metavar="N",
        help="seed of splits, weights and shuffling (default: what the recipe says, or 0)",
    )
    parser.add_argument(
        "--tensorboard", metavar="DIR", help="write logs for TensorBoard to DIR (default: none)"
    )
    parser.add_argument(
        "--hosts",
        type=names,
        action="extend",
        metavar="HOST:PORT,...",
        help="train on several machines: the addresses of all hosts, the same list on each (default: "
        "what TF_CONFIG says, or this machine alone)",
    )
    parser.add_argument(
        "--index",
        type=whole_number,
        metavar="K",
        help="position of this machine in --hosts, from 0; host 0 writes the model; required with "
        "--hosts",
    )
    add_out(parser, "MODEL", "model to write: MODEL.keras, MODEL.h5, or a SavedModel folder")
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

    checkpoint = Checkpoint(check_path(args.out))
    refuse_saving(checkpoint.output, args.overwrite or checkpoint.may_replace_output())
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
            args.out,
            overwrite=args.overwrite,
            progress=console.tell,
            live=console.live,
            trust_code=args.trust_code,
        )
    except KeyboardInterrupt:
        if not checkpoint.exists():
            raise
        console.say(
            "edgekit: interrupted; the finished epochs are kept: run the same command again to continue."
        )
        return INTERRUPTED
    console.result(training.to_json(), [_text(training)], args)
    return 0


def _cluster(args: argparse.Namespace) -> Cluster | None:
    """Who trains together, by the options or else by TensorFlow's own variable; None for this process alone."""
    if (args.hosts is None) != (args.index is None):
        raise UsageError("--hosts and --index belong together: give both or neither.")
    from edgekit.train.machines import Cluster

    if args.hosts is None:
        return Cluster.from_environment()
    return Cluster(tuple(args.hosts), args.index)


def _together(args: argparse.Namespace, recipe: Recipe, cluster: Cluster, console: Console) -> int:
    from edgekit.train.distributed import train_together
    from edgekit.train.trainer import load_splits

    assert recipe.data is not None, "_recipe() sees to it"
    training = train_together(
        load_splits(recipe.data),
        recipe,
        args.out,
        cluster,
        overwrite=args.overwrite,
        progress=console.tell,
        trust_code=args.trust_code,
    )
    if training is None:
        console.tell(f"worker {cluster.index} is done; {cluster.hosts[0]} writes {args.out}")
    else:
        console.result(training.to_json(), [_text(training)], args)
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
        f"{training.path}: {training.model.parameters:,} parameters, {training.seconds:.0f} s, "
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
    if args.architecture:
        named = replace(recipe.model, name=args.architecture, function=None, file=None, folder=None)
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
