"""Files that the zoo does not lead to: of tf_keras' recurrent layers, and TFLiteConverter's own quantised ones.

python benchmarks/wheels/others.py FOLDER [NAME ...]
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zlib import crc32

sys.path.insert(0, str(Path(__file__).parents[1]))

from zoo import Input

from wheels import corpus, raw


@dataclass(frozen=True)
class Other:
    """A Sequential of either Keras, with an input called ``x`` (see `zoo.Input`)."""

    name: str
    x: Input
    body: Callable[[Any], list[Any]]
    flavour: str = "keras"

    @property
    def inputs(self) -> dict[str, Input]:
        return {"x": self.x}

    def build(self) -> Any:
        import keras
        import tf_keras

        package = {"keras": keras, "tf_keras": tf_keras}[self.flavour]
        package.utils.set_random_seed(crc32(self.name.encode()))
        layers = package.layers
        # With a batch of one a recurrent layer becomes one operator.
        first = layers.InputLayer(
            **{
                "batch_input_shape" if self.flavour == "tf_keras" else "batch_shape": (
                    1,
                    *self.x.shape,
                )
            },
            dtype=self.x.dtype,
            name="x",
        )
        return package.Sequential([first, *self.body(layers)])


_STEPS, _IMAGE, _ROW = Input((12, 6)), Input((12, 12, 3)), Input((10,))
_IDS = Input((12,), "int32", 1, 49)


def _legacy() -> Iterator[Other]:
    for kind in ("LSTM", "GRU", "SimpleRNN"):
        for whole in (False, True):
            word = "sequence" if whole else "last"

            def body(layers: Any, kind: str = kind, whole: bool = whole) -> list[Any]:
                return [getattr(layers, kind)(5, return_sequences=whole), layers.Dense(3)]

            def both(layers: Any, kind: str = kind, whole: bool = whole) -> list[Any]:
                inner = getattr(layers, kind)(5, return_sequences=whole)
                return [layers.Bidirectional(inner), layers.Dense(3)]

            def words(layers: Any, kind: str = kind, whole: bool = whole) -> list[Any]:
                inner = getattr(layers, kind)(5, return_sequences=whole)
                return [layers.Embedding(50, 6), inner, layers.Dense(3, activation="softmax")]

            yield Other(f"legacy/{kind}-{word}", _STEPS, body, "tf_keras")
            yield Other(f"legacy/{kind}-{word}-both", _STEPS, both, "tf_keras")
            yield Other(f"legacy/{kind}-{word}-words", _IDS, words, "tf_keras")
    yield Other(
        "legacy/stacked",
        _STEPS,
        lambda layers: [
            layers.LSTM(5, return_sequences=True, go_backwards=True),
            layers.TimeDistributed(layers.Dense(4, activation="relu")),
            layers.LSTM(4),
            layers.Dense(3),
        ],
        "tf_keras",
    )


def _stock() -> Iterator[Other]:
    yield Other(
        "stock/flatten",
        _IMAGE,
        lambda layers: [
            layers.Conv2D(4, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(5, activation="softmax"),
        ],
    )
    yield Other(
        "stock/mobile",
        _IMAGE,
        lambda layers: [
            layers.Conv2D(4, 3, 2, "same"),
            layers.BatchNormalization(),
            layers.ReLU(6.0),
            layers.DepthwiseConv2D(3, padding="same"),
            layers.ReLU(6.0),
            layers.Conv2D(8, 1),
            layers.GlobalAveragePooling2D(),
            layers.Dense(1, activation="sigmoid"),
        ],
    )
    yield Other(
        "stock/dense",
        _ROW,
        lambda layers: [layers.Dense(8, activation="tanh"), layers.Dense(4)],
    )
    yield Other(
        "stock/series",
        _STEPS,
        lambda layers: [
            layers.Conv1D(5, 3, activation="relu"),
            layers.AveragePooling1D(),
            layers.Flatten(),
            layers.Dense(3),
        ],
    )
    yield Other(
        "stock/image",
        _IMAGE,
        lambda layers: [
            layers.ZeroPadding2D(),
            layers.Conv2D(4, 3, 2, activation="relu"),
            layers.UpSampling2D(),
            layers.Conv2DTranspose(2, 3, 1, "same"),
        ],
    )


def _stock_files(entry: Other) -> Iterator[tuple[str, bytes]]:
    """The converter's files: (name, content)."""
    import tensorflow as tf

    model = entry.build()
    samples = raw.draw(entry, corpus.CALIBRATION, 0)["x"]
    sets = tf.lite.OpsSet
    wide = sets.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
    for name, kind, ends in (
        ("float32", None, None),
        ("dynamic", [], None),
        ("float-ends", [sets.TFLITE_BUILTINS_INT8], None),
        ("int8-ends", [sets.TFLITE_BUILTINS_INT8], tf.int8),
        ("uint8-ends", [sets.TFLITE_BUILTINS_INT8], tf.uint8),
        ("int16x8", [wide], None),
        ("int16x8-ends", [wide], tf.int16),
    ):
        converter = tf.lite.TFLiteConverter.from_keras_model(model)
        if kind is not None:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if kind:
            converter.representative_dataset = lambda: ([x[None]] for x in samples)
            converter.target_spec.supported_ops = kind
        if ends:
            converter.inference_input_type = converter.inference_output_type = ends
        yield name, converter.convert()


def main(folder: Path, names: Sequence[str] = ()) -> None:
    for entry in (*_legacy(), *_stock()):
        target = folder.joinpath(*entry.name.split("/"))
        if target.exists() or (names and entry.name not in names):
            continue
        corpus.build(entry, target)
        if entry.flavour == "keras":
            for name, content in _stock_files(entry):
                path = target / f"stock-{name}.tflite"
                path.write_bytes(content)
                corpus.write_inputs(path, raw.draw(entry, corpus.TRIED, 1))
        print(entry.name, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
