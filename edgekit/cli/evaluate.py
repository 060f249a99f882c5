"""Score a model on labelled samples, for every task that 'edgekit compare' judges.

That is accuracy, AUC and F1 of a classifier, MAE and RMSE of a regression, mean IoU of masks, mAP of boxes,
and so on.
"""

from __future__ import annotations

import argparse
from contextlib import ExitStack

from edgekit.cli.arguments import (
    FILE_HELP,
    add_executor,
    add_json,
    add_labels,
    add_recipe_of_tasks,
    add_runner,
    add_samples,
    add_task,
    load_runner,
    tasks_of,
)
from edgekit.cli.console import Console
from edgekit.cli.figures import figure_lines
from edgekit.errors import UsageError
from edgekit.samples import load_samples
from edgekit.scoring.evaluation import Evaluation, evaluate

EXAMPLE = "edgekit evaluate build/model.int8.tflite --samples samples.npz"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help=FILE_HELP)
    add_samples(parser, "labelled raw samples")
    add_labels(parser)
    add_task(parser)
    add_recipe_of_tasks(parser)
    add_executor(parser, "here", "the model runs")
    add_runner(parser)
    add_json(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    if args.address is not None and args.executor != "ray":
        raise UsageError("--address: only the executor 'ray' has one: give --executor ray.")
    tasks, decoder = tasks_of(args)
    samples = load_samples(args.samples)
    with load_runner(args, args.file) as runner, ExitStack() as stack:
        if args.executor == "ray":
            from edgekit.scoring.on_ray import on_cluster

            runner = stack.enter_context(on_cluster(runner, args.address))
        evaluation = evaluate(runner, samples, tasks, args.labels, decoder)
    console.result(evaluation.to_json(), _lines(evaluation), args)
    for finding in evaluation.findings:
        console.say(f"warning: {finding.sentence}")
    return 0


def _lines(evaluation: Evaluation) -> list[str]:
    figures = {
        "accuracy": evaluation.accuracy,
        "top-5 accuracy": evaluation.top5_accuracy,
        "AUC": evaluation.auc,
        "macro F1": evaluation.f1_macro,
        "MAE": evaluation.mae,
        "RMSE": evaluation.rmse,
    }
    lines = [f"{evaluation.artifact.name}: {evaluation.task} of {evaluation.count} samples"]
    lines += [f"{name:14} {value:.4f}" for name, value in figures.items() if value is not None]
    lines += figure_lines(evaluation.figures, {"mae", "rmse"})
    if evaluation.per_class:
        width = max(len("class"), *(len(row.name) for row in evaluation.per_class))
        lines.append(f"{'class':{width}}  count precision recall     F1")
        lines += [
            f"{row.name:{width}} {row.count:6} {row.precision:9.4f} {row.recall:6.4f} {row.f1:6.4f}"
            for row in evaluation.per_class
        ]
    return lines
