"""Training on several machines: each takes its share of every batch, and all hold the same weights."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import edgekit
from edgekit.document.training import Training
from edgekit.errors import ClusterError, TrainingError, UsageError, one_line, require
from edgekit.models.bridge import copy_back, to_tf_keras
from edgekit.models.saving import check_path, check_saving, refuse_saving, save
from edgekit.models.source import from_keras
from edgekit.recipe import Recipe
from edgekit.recipe.identity import comparable
from edgekit.samples.splits import Splits
from edgekit.train import loop
from edgekit.train.data_key import data_key
from edgekit.train.feeding import Feed, Vary
from edgekit.train.logs import line
from edgekit.train.machines import Cluster
from edgekit.train.planning import Plan, compiled, plan
from edgekit.train.rendezvous import meet
from edgekit.train.result import result
from edgekit.train.trainer import scores_of

Progress = Callable[[str], None]
_PURPOSE = "Training on several workers"


def train_together(
    splits: Splits,
    recipe: Recipe,
    output: str | os.PathLike[str],
    cluster: Cluster,
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
    trust_code: bool = False,
) -> Training | None:
    """Train as `edgekit.train.trainer.train` does, each step on the workers' shares of one batch.

    The recipe's batch is divided among the workers, and gradients are averaged over all of it: the
    weights are those of one machine with that batch, up to rounding. Batch normalisation takes
    its statistics over all shares too. Dropout draws other numbers on each worker.

    It runs on `tf.distribute.MultiWorkerMirroredStrategy` with the model's twin in tf_keras, whose
    weights come back at the end. Validation is done by each worker in full. Nothing is kept of a
    training that ends early. Has to be called before the process uses TensorFlow for anything else.

    Args:
        splits: the same on each worker.
        recipe: the same on each worker; float32 only.
        output: the ``.keras`` file, which the first worker writes.
        cluster: who takes part.
        overwrite: replace the file if it exists.
        progress: called on the first worker with a line of text for each epoch.
        trust_code: let code that the recipe's model file holds run.

    Returns:
        What it came to; None on all workers but the first.

    Raises:
        OutputExistsError: `output` exists and `overwrite` is false.
        UsageError: the recipe's batch is smaller than the number of workers, or its precision mixed.
        ClusterError: a worker is missing, has another recipe or other data, or was lost.
        BridgeError: a model that cannot be carried to tf_keras.
        SamplesError, RecipeError, TrainingError: as `train`.
    """
    output, settings = check_path(output), recipe.training
    if cluster.is_chief:
        refuse_saving(output, overwrite)
    if settings.batch_size < len(cluster.hosts) or settings.precision != "float32":
        raise UsageError(
            f"training on {len(cluster.hosts)} workers: received a batch of {settings.batch_size} and "
            f"precision {settings.precision!r}, expected at least one sample a worker and 'float32'."
        )
    meet(cluster.hosts, cluster.index, _key(splits, recipe))
    os.environ.setdefault("TF_DETERMINISTIC_OPS", "1")
    tf, strategy = _strategy(cluster)
    try:
        parts = [
            part for part in (splits.train, splits.validation, splits.test) if part is not None
        ]
        planned = plan(parts, recipe, trust_code=trust_code)
        check_saving(planned.model, output)
        return _train(tf, strategy, planned, recipe, output, cluster, progress or (lambda _: None))
    except (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError) as error:
        raise _lost(error) from error
    except tf.errors.OpError as error:
        # Collective operations report a peer's end in several ways.
        if "ollective" in str(error) or "peer" in str(error):
            raise _lost(error) from error
        raise


def _lost(error: Exception) -> ClusterError:
    return ClusterError(
        "training: a worker was lost, and the others cannot go on without it. Nothing was written: "
        f"start all of them again. ({one_line(error, 160)})"
    )


def _strategy(cluster: Cluster) -> tuple[Any, Any]:
    tf = require("tensorflow", "export", _PURPOSE)
    task = {"type": "worker", "index": cluster.index}
    os.environ["TF_CONFIG"] = json.dumps({"cluster": {"worker": cluster.hosts}, "task": task})
    try:
        return tf, tf.distribute.MultiWorkerMirroredStrategy()
    except RuntimeError as error:
        raise TrainingError(
            f"training on several workers: TensorFlow refuses ({one_line(error)}). It has to begin "
            "before anything else in the process uses TensorFlow."
        ) from error


def _key(splits: Splits, recipe: Recipe) -> str:
    text = json.dumps([edgekit.__version__, comparable(recipe)], sort_keys=True)
    data = data_key(splits.train, splits.validation)
    return hashlib.sha256(f"{text} {data}".encode()).hexdigest()


def _train(
    tf: Any,
    strategy: Any,
    planned: Plan,
    recipe: Recipe,
    output: Path,
    cluster: Cluster,
    tell: Progress,
) -> Training | None:
    tf_keras = require("tf_keras", "export", _PURPOSE)
    settings = recipe.training
    training, validation = planned.feeds[:2]
    with strategy.scope():
        tf_keras.utils.set_random_seed(settings.seed)
        twin = to_tf_keras(from_keras(output, "keras", planned.model))
        model = twin.source.model
        for layer in model.submodules:
            if isinstance(layer, tf_keras.layers.BatchNormalization):
                layer.synchronized, layer.fused = True, False
        compiled(tf_keras, model, recipe, planned.targets, training)
        state = loop.begin(model, None)
    share = _share(tf, training, recipe, planned.vary, cluster)
    start = perf_counter()

    def told(row: dict[str, float]) -> None:
        if cluster.is_chief:
            tell(line(row, settings.epochs, planned.targets.monitor))

    state = loop.fit(
        tf_keras,
        model,
        strategy.distribute_datasets_from_function(lambda _: share),
        strategy.distribute_datasets_from_function(
            lambda _: validation.in_order(settings.batch_size)
        ),
        settings,
        planned.targets,
        planned.steps,
        state,
        loop.Watch(lambda _: None, told),
        validation.steps(settings.batch_size),
    )
    seconds = perf_counter() - start
    # Statistics are averaged over the workers when they are read: all of them have to take part.
    copy_back(twin)
    if not cluster.is_chief:
        return None
    scores = [scores_of(planned.trainee, feed, planned.targets) for feed in planned.feeds[1:]]
    save(planned.model, output, metadata=planned.described(scores), overwrite=True)
    return result(output, recipe, planned, state, scores, seconds)


def _share(tf: Any, feed: Feed, recipe: Recipe, vary: Vary | None, cluster: Cluster) -> Any:
    """This worker's rows of every batch, weighted so that the workers' means add up to the batch's.

    TensorFlow averages each worker's loss over its rows and then over the workers, whose shares may
    differ by a row. A worker without a row takes one with weight 0.
    """
    settings, count = recipe.training, len(cluster.hosts)
    batches = feed.epochs(settings.batch_size, range(settings.epochs), settings.seed, vary)

    def share(inputs: Any, targets: Any, weights: Any = None) -> Any:
        total = tf.shape(targets)[0]
        first, after = (total * n // count for n in (cluster.index, cluster.index + 1))
        rows = tf.range(first, after)
        rows = tf.cond(first < after, lambda: rows, lambda: tf.zeros(1, rows.dtype))
        scale = tf.cast((after - first) * count, tf.float32) / tf.cast(total, tf.float32)
        given = 1.0 if weights is None else tf.gather(weights, rows)
        weights = tf.fill(tf.shape(rows), scale) * given
        return (
            tf.nest.map_structure(lambda x: tf.gather(x, rows), inputs),
            tf.gather(targets, rows),
            weights,
        )

    return batches.map(share)
