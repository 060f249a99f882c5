"""What TensorFlow refuses ends in edgekit's own errors, and texts go in and out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import needs

from edgekit.errors import ArtifactError, TensorError
from edgekit.runtime import load
from edgekit.runtime.random_inputs import random_inputs
from edgekit.samples import Samples
from edgekit.scoring.evaluation import evaluate

keras = needs.package("keras")
tf = needs.package("tensorflow")


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that looks ten ids up."""
    ids = keras.Input((4,), dtype="int32", name="ids")
    rows = keras.layers.Flatten()(keras.layers.Embedding(10, 3)(ids))
    path: Path = tmp_path_factory.mktemp("table") / "table.keras"
    keras.Model(ids, keras.layers.Dense(2, name="scores")(rows)).save(path)
    return path


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SavedModel with texts, an assertion, and outputs of any size."""

    class Odd(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, 1], tf.string, "t")])
        def texts(self, t: Any) -> Any:
            return {"length": tf.strings.length(t), "upper": tf.strings.upper(t)}

        @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32, "x")])
        def asserts(self, x: Any) -> Any:
            with tf.control_dependencies([tf.debugging.assert_less(x, 1.0)]):
                return {"y": tf.identity(x)}

        @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32, "x")])
        def zeros(self, x: Any) -> Any:
            return {"y": tf.zeros([tf.cast(x[0, 0], tf.int64), 1 << 20])}

    path: Path = tmp_path_factory.mktemp("odd") / "odd"
    module = Odd()
    names = ("texts", "asserts", "zeros")
    tf.saved_model.save(module, str(path), {name: getattr(module, name) for name in names})
    return path


def test_ids_out_of_range(table: Path) -> None:
    ids = np.full((4, 4), 99, np.int32)
    with load(table) as runner:
        with pytest.raises(
            ArtifactError, match=r"indices\[0,0\] = 99 is not in \[0, 10\)"
        ) as caught:
            runner.infer({"ids": ids[:1]})
        assert len(str(caught.value)) < 200
        with pytest.raises(ArtifactError, match="99"):
            evaluate(runner, Samples({"ids": ids}, np.arange(4) % 2))
        # It goes on with what it can take.
        assert runner.infer({"ids": ids[:1] % 10})["scores"].shape == (1, 2)


def test_texts(odd: Path) -> None:
    with load(odd).with_signature("texts") as runner:
        specs = {spec.name: spec.dtype for spec in (*runner.inputs, *runner.outputs)}
        assert specs == {"t": "object", "length": "int32", "upper": "object"}
        answers = runner.infer({"t": np.array([["ab"], ["c"]], object)})
        assert answers["upper"].tolist() == [["AB"], ["C"]]
        assert answers["length"].tolist() == [[2], [1]]
        with pytest.raises(TensorError, match="expected"):
            runner.infer({"t": np.array([[3]])})
        assert runner.infer(random_inputs(runner))["upper"].tolist() == [[""]]


def test_a_model_of_words(tmp_path: Path) -> None:
    word = keras.Input((1,), dtype="string", name="word")
    found = keras.layers.StringLookup(vocabulary=["a", "b"])(word)
    keras.Model(word, found).save(tmp_path / "w.keras")
    with load(tmp_path / "w.keras") as runner:
        for dtype in (object, "U"):
            (answer,) = runner.infer({"word": np.array([["b"]], dtype)}).values()
            assert answer.tolist() == [[2]]


@pytest.mark.parametrize(
    ("signature", "value", "message"),
    [
        ("asserts", 5, "assertion failed"),
        ("zeros", 1e9, "OOM when allocating"),
        ("zeros", -3, "-3 must be >= 0"),
    ],
)
def test_everything_else_that_tensorflow_raises(
    odd: Path, signature: str, value: float, message: str
) -> None:
    with (
        load(odd).with_signature(signature) as runner,
        pytest.raises(ArtifactError, match=f"the inference failed: .*{message}"),
    ):
        runner.infer({"x": np.full((1, 2), value, np.float32)})


def test_sizes_that_do_not_go_together(tmp_path: Path) -> None:
    series = keras.Input((None, 3), name="s")
    keras.Model(series, keras.layers.Reshape((6,))(series)).save(tmp_path / "r.keras")
    with load(tmp_path / "r.keras") as runner:
        assert runner.infer({"s": np.zeros((1, 2, 3), np.float32)})
        with pytest.raises(ArtifactError, match="the inference failed") as caught:
            runner.infer({"s": np.zeros((1, 5, 3), np.float32)})
    assert "File" not in str(caught.value)
