"""The Keras backend against the same promises as the others make in tests/runtime."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import needs

import edgekit
from edgekit.errors import ArtifactError, TensorError, UntrustedCodeError, UsageError
from edgekit.models import save


def test_it_answers_what_keras_answers(digits_model: Path, digits: Any) -> None:
    import keras

    x = digits.test.inputs["image"]
    expected = keras.saving.load_model(digits_model).predict(x, verbose=0)
    with edgekit.load(digits_model) as runner:
        assert runner.backend.name == "keras"
        assert runner.backend.version == keras.__version__
        assert [spec.name for spec in runner.inputs] == ["image"]
        answers = runner.infer_batch({"image": x})["probabilities"]
        np.testing.assert_allclose(answers, expected, atol=1e-6)
        one = runner.infer({"image": x[:1]})["probabilities"]
        np.testing.assert_allclose(one, expected[:1], atol=1e-6)


def test_results_are_the_callers_own(digits_model: Path, digits: Any) -> None:
    x = digits.test.inputs["image"]
    with edgekit.load(digits_model) as runner:
        first = runner.infer({"image": x[:1]})["probabilities"]
        kept = first.copy()
        runner.infer({"image": x[1:2]})
        np.testing.assert_array_equal(first, kept)


def test_wrong_inputs_are_refused(digits_model: Path) -> None:
    with edgekit.load(digits_model) as runner:
        with pytest.raises(TensorError, match=r"'imag'.*Did you mean 'image'"):
            runner.infer({"imag": np.zeros((1, 8, 8, 1), np.float32)})
        with pytest.raises(TensorError, match=r"received shape \[1, 9, 8, 1\]"):
            runner.infer({"image": np.zeros((1, 9, 8, 1), np.float32)})
    with pytest.raises(ArtifactError, match="closed"):
        runner.infer({"image": np.zeros((1, 8, 8, 1), np.float32)})


def test_a_saved_model(tmp_path: Path, digits_model: Path, digits: Any) -> None:
    import keras
    import tensorflow as tf

    keras.saving.load_model(digits_model).export(tmp_path / "exported", verbose=False)
    x = digits.test.inputs["image"][:8]
    with edgekit.load(digits_model) as one, edgekit.load(tmp_path / "exported") as two:
        assert two.backend.version == tf.__version__
        (a,), (b,) = one.infer({"image": x}).values(), two.infer_batch({"image": x}).values()
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_code_is_refused_unless_trusted(tmp_path: Path) -> None:
    import keras

    inputs = keras.Input((2,), name="signal")
    twice = keras.layers.Lambda(lambda t: t * 2, name="twice")
    keras.Model(inputs, twice(inputs)).save(tmp_path / "m.keras")
    with pytest.raises(UntrustedCodeError):
        edgekit.load(tmp_path / "m.keras")
    with edgekit.load(tmp_path / "m.keras", trust_code=True) as runner:
        assert runner.infer({"signal": np.ones((1, 2), np.float32)})["twice"][0, 0] == 2


def test_it_says_which_flavour_of_keras_reads_the_file(tmp_path: Path) -> None:
    import tf_keras

    inputs = tf_keras.Input((4,))
    # Keras 3 takes no such name of a layer.
    save(tf_keras.Model(inputs, tf_keras.layers.Dense(3, name="a/b")(inputs)), tmp_path / "m.h5")
    with edgekit.load(tmp_path / "m.h5") as runner:
        assert runner.backend.version == f"{tf_keras.__version__} (tf_keras)"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            "The Conv2D op only supports the NHWC tensor format",
            "received TF_ENABLE_ONEDNN_OPTS='0'",
        ),
        (
            "The FFT op has no complex numbers",
            "no kernel for an operator on this processor: The FFT",
        ),
    ],
)
def test_a_layer_that_has_no_kernel_on_this_processor(
    digits_model: Path, monkeypatch: pytest.MonkeyPatch, said: str, told: str
) -> None:
    import tensorflow as tf

    def function(image: Any) -> Any:
        del image
        raise tf.errors.UnimplementedError(None, None, said)

    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    with edgekit.load(digits_model) as runner:
        monkeypatch.setattr(runner, "_function", function)
        with pytest.raises(ArtifactError, match=told):
            runner.infer({"image": np.zeros((1, 8, 8, 1), np.float32)})


def test_channels_first(tmp_path: Path) -> None:
    """Keras answers, or the error says how to have it answer."""
    import keras
    import tensorflow as tf

    image = keras.Input((3, 6, 6), name="image")
    layer = keras.layers.Conv2D(2, 3, data_format="channels_first", name="y")
    keras.Model(image, layer(image)).save(tmp_path / "m.keras")
    x = np.ones((1, 3, 6, 6), np.float32)
    with edgekit.load(tmp_path / "m.keras") as runner:
        try:
            expected = np.asarray(layer(x))
        except tf.errors.UnimplementedError:
            with pytest.raises(
                ArtifactError, match="expected '1' when TensorFlow is first imported"
            ):
                runner.infer({"image": x})
        else:
            np.testing.assert_allclose(runner.infer({"image": x})["y"], expected, atol=1e-6)


@needs.system("fork")
def test_a_forked_child_does_not_wait_for_tensorflow(digits_model: Path) -> None:
    with edgekit.load(digits_model) as runner:
        x = {"image": np.zeros((1, 8, 8, 1), np.float32)}
        runner.infer(x)
        child = os.fork()
        if not child:
            try:
                runner.infer(x)
            except ArtifactError as error:
                os._exit(7 if "Start processes with the method 'spawn'" in str(error) else 1)
            os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def test_a_pickled_runner_opens_the_file_and_an_object_has_none(digits_model: Path) -> None:
    import keras

    with edgekit.load(digits_model) as runner, pickle.loads(pickle.dumps(runner)) as again:
        assert again.artifact.sha256 == runner.artifact.sha256
    with (
        edgekit.load(keras.saving.load_model(digits_model)) as runner,
        pytest.raises(UsageError, match=r"cannot be pickled\. Save the model"),
    ):
        pickle.dumps(runner)
