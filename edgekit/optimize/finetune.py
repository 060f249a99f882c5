"""Fine-tune: train a model on after it was changed, as its task and its data ask."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgekit.errors import TrainingError, UsageError, require
from edgekit.models.source import SourceModel
from edgekit.optimize.best import Kept, keep_best
from edgekit.optimize.objective import Objective, Teacher, objective
from edgekit.samples import Samples

_PURPOSE = "Fine-tuning"


class Settings(Protocol):
    """What every recipe with a fine-tuning holds."""

    @property
    def epochs(self) -> int: ...
    @property
    def batch_size(self) -> int: ...
    @property
    def learning_rate(self) -> float: ...
    @property
    def seed(self) -> int: ...


def steps_of(data: Samples, settings: Settings) -> int:
    """How many steps a fine-tuning takes; the last batch of an epoch may be smaller."""
    return math.ceil(len(data) / settings.batch_size) * settings.epochs


def fine_tune(
    model: Any,
    source: SourceModel,
    data: Samples | None,
    settings: Settings,
    *,
    callbacks: Sequence[Any] = (),
    teacher: Teacher | None = None,
    held: Samples | None = None,
    rival: Any = None,
    progress: Callable[[str], None] | None = None,
) -> Kept | None:
    """Train `model` in place, with Adam and a learning rate that falls to zero along half a cosine.

    The loss follows from the task: cross-entropy for class labels, with probabilities or logits as
    the model answers; binary cross-entropy for a single score; squared error for labels of
    the output's shape, and against the input where a model without labels answers in its shape.
    Samples are read batch by batch. The same seed gives the same weights on a CPU.

    Args:
        model: of either flavour of Keras, with the inputs and outputs of `source`, in their order.
        source: says what goes in and out.
        data: samples for the inputs of `source`; labels may be missing where `teacher` is given.
        settings: epochs, batch size, learning rate and seed.
        callbacks: of the model's flavour, called as `fit` does.
        teacher: a model to distil from as well (Hinton, Vinyals and Dean, "Distilling the Knowledge in
            a Neural Network", 2015).
        held: samples as `data`, not trained on; the weights of the epoch that does best on them are
            kept, or those before training (`edgekit.optimize.best`): with the fewest class labels
            missed, or where there are none with the smallest loss.
        rival: another model with the outputs of `model`, to be beaten on `held` in place of `model`
            before training.
        progress: called with a line of text for each epoch.

    Returns:
        Which state of the model was kept; None without `held`.

    Raises:
        UsageError: there is nothing to train on: no samples, or no labels and no teacher.
        SamplesError: labels that the model cannot answer.
        TensorError: samples that do not fit the inputs.
        TrainingError: the loss became NaN or infinite; names the step.
    """
    if data is None:
        raise UsageError(
            "fine-tuning needs samples to train on: give --data SAMPLES (data=samples)."
        )
    data = data.for_inputs(source.inputs)
    aim = objective(model, source, data, teacher)
    keras = keras_of(model)
    keras.utils.set_random_seed(settings.seed)
    steps = steps_of(data, settings)
    rate = keras.optimizers.schedules.CosineDecay(settings.learning_rate, steps)
    # XLA compiles for longer than small networks train.
    model.compile(optimizer=keras.optimizers.Adam(rate), loss=aim.losses, jit_compile=False)
    best = None
    if held is not None:
        judging = source, held.for_inputs(source.inputs), aim, settings
        before = _judge(model if rival is None else rival, *judging)()
        measure = "wrong" if aim.wrong else "loss"
        best = keep_best(keras, measure, before, _judge(model, *judging))
    model.fit(
        _batches(source, data, aim, settings),
        epochs=settings.epochs,
        callbacks=[
            *callbacks,
            *([best] if best else []),
            _watch(keras, settings, steps, progress),
        ],
        # The data set has an order of its own in each epoch.
        shuffle=False,
        verbose=0,
    )
    return best.kept if best else None


def keras_of(model: Any) -> Any:
    """The module of the flavour that `model` is of."""
    tf_keras = require("tf_keras", "export", _PURPOSE)
    return tf_keras if isinstance(model, tf_keras.Model) else require("keras", "export", _PURPOSE)


def _taught(source: SourceModel, batch: Samples, aim: Objective) -> tuple[Any, Any]:
    """What a model takes of a batch, and what it should answer."""
    inputs = {s.name: np.asarray(batch.inputs[s.name]).astype(s.dtype) for s in source.inputs}
    given = tuple(inputs.values())
    return given if len(given) > 1 else given[0], aim.targets(batch, inputs)


def _judge(
    model: Any, source: SourceModel, held: Samples, aim: Objective, settings: Settings
) -> Callable[[], NDArray[Any]]:
    """Gives of each sample, in order, whether its label is missed, or the loss where that cannot be told."""
    tf = require("tensorflow", "export", _PURPOSE)

    @tf.function(reduce_retracing=True, autograph=False)  # type: ignore[untyped-decorator]
    def measured(given: Any, targets: Any) -> Any:
        answers = model(given, training=False)
        answers = list(answers.values()) if isinstance(answers, dict) else tf.nest.flatten(answers)
        # A rounded softmax gives zeros, whose logarithms would outweigh all else in a loss.
        if aim.wrong is not None:
            return aim.wrong(targets[0], answers[0])
        losses = [f(*pair) for f, *pair in zip(aim.losses, targets, answers, strict=True)]
        return tf.add_n([tf.reduce_mean(tf.reshape(x, (tf.shape(x)[0], -1)), 1) for x in losses])

    def judge() -> NDArray[Any]:
        pairs = (_taught(source, batch, aim) for batch in held.batches(settings.batch_size))
        tensors = (tf.nest.map_structure(tf.convert_to_tensor, pair) for pair in pairs)
        return np.concatenate([measured(*pair).numpy() for pair in tensors])

    return judge


def _batches(source: SourceModel, data: Samples, aim: Objective, settings: Settings) -> Any:
    """A `tf.data.Dataset` of (inputs, targets), in another order each epoch."""
    tf = require("tensorflow", "export", _PURPOSE)
    rng = np.random.default_rng(settings.seed)

    def one(index: Any) -> tuple[Any, Any]:
        return _taught(source, data[index], aim)

    def epoch() -> Iterator[tuple[Any, Any]]:
        order = rng.permutation(len(data))
        for start in range(0, len(order), settings.batch_size):
            # Ascending: data that is read from files lies together.
            yield one(np.sort(order[start : start + settings.batch_size]))

    def signature(array: Any) -> Any:
        return tf.TensorSpec((None, *array.shape[1:]), array.dtype)

    spec = tf.nest.map_structure(signature, one(np.arange(1)))
    dataset = tf.data.Dataset.from_generator(epoch, output_signature=spec)
    count = math.ceil(len(data) / settings.batch_size)
    return dataset.apply(tf.data.experimental.assert_cardinality(count)).prefetch(2)


def _watch(
    keras: Any, settings: Settings, steps: int, progress: Callable[[str], None] | None
) -> Any:
    class Watch(keras.callbacks.Callback):  # type: ignore[misc]
        """Stops at the first loss that is no number; tells of each epoch."""

        def __init__(self) -> None:
            super().__init__()
            self._step = 0

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            del batch
            self._step += 1
            if not math.isfinite(logs["loss"]):
                raise TrainingError(
                    f"fine-tuning: the loss became NaN or infinite at step {self._step} of {steps}. "
                    f"Lower the learning rate (received {settings.learning_rate:g}) or look at the "
                    "data."
                )

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            if progress:
                progress(f"fine-tune epoch {epoch + 1}/{settings.epochs}: loss {logs['loss']:.4f}")

    return Watch()
