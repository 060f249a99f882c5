from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgekit
from edgekit import document
from edgekit.errors import RecipeError, UsageError
from edgekit.formats.write_metadata import strip_onnx, strip_tflite
from edgekit.models import load
from edgekit.models.bridge import to_tf_keras
from edgekit.models.source import SourceModel, copied, from_keras
from edgekit.optimize.objective import Teacher
from edgekit.optimize.qat import quantize_aware
from edgekit.recipe import DistillRecipe, ExportRecipe, PruneRecipe, QatRecipe
from edgekit.samples import Samples

# Without samples held out: the training itself is looked at.
RECIPE = QatRecipe(epochs=1, batch_size=32, held_out=0.0)


def answers(source: SourceModel, x: Any) -> np.ndarray:
    (name,) = [spec.name for spec in source.inputs]
    return np.asarray(next(iter(source.call({name: np.asarray(x, np.float32)}).values())))


def answers_of_file(path: Any, x: Any) -> np.ndarray:
    with edgekit.load(path) as runner:
        (name,) = [spec.name for spec in runner.inputs]
        found = runner.infer_batch({name: np.asarray(x, np.float32)})
    return next(iter(found.values()))


def agreement(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.mean(a.argmax(-1) == b.argmax(-1)))


def sqnr_db(wanted: Any, found: Any) -> float:
    wanted = np.asarray(wanted, np.float64)
    return float(10 * np.log10((wanted**2).sum() / max(((wanted - found) ** 2).sum(), 1e-30)))


@pytest.fixture(scope="session")
def trained(once: Callable[..., Path], digits_model: Path, digits: Any) -> Path:
    """A folder with ``digits.keras`` and ``digits.h5``, trained for int8, and the files made of it."""

    def make(folder: Path) -> None:
        result = quantize_aware(load(digits_model), RECIPE, digits.train)
        for ending in ("keras", "h5"):
            result.source.model.save(folder / f"digits.{ending}")
        edgekit.export(
            folder / "digits.keras",
            out=folder / "files",
            schemes=["float32", "int8"],
            formats=["tflite", "onnx"],
            calibration=digits.train,
        )

    return once("digits-qat", make)


def test_the_names_of_inputs_and_outputs_stay(trained: Path, digits_model: Path) -> None:
    before, after = load(digits_model), load(trained / "digits.keras")
    assert [s.name for s in after.inputs + after.outputs] == ["image", "probabilities"]
    assert [s.shape for s in after.outputs] == [s.shape for s in before.outputs]
    assert after.flavour == "tf_keras"


def test_saved_in_either_format_it_is_the_same(trained: Path, digits: Any) -> None:
    x = digits.test.inputs["image"]
    one, other = (answers(load(trained / f"digits.{end}"), x) for end in ("keras", "h5"))
    np.testing.assert_array_equal(one, other)
    assert np.mean(one.argmax(-1) == digits.test.labels) > 0.95


@pytest.mark.parametrize("format", ["tflite", "onnx"])
def test_the_int8_file_agrees_with_the_model_in_training(
    trained: Path, digits: Any, format: str
) -> None:
    x = digits.test.inputs["image"]
    wanted = answers(load(trained / "digits.keras"), x)
    found = answers_of_file(trained / "files" / f"digits.int8.{format}", x)
    assert agreement(wanted, found) >= 0.995
    assert sqnr_db(wanted, found) > 38


def test_the_int8_onnx_file_answers_alike_on_every_processor(trained: Path) -> None:
    from edgekit.formats.onnx_saturation import saturating

    assert saturating((trained / "files" / "digits.int8.onnx").read_bytes()) == ()


def test_the_float_file_has_the_weights_of_the_int8_file(trained: Path) -> None:
    """Every channel of a kernel lies on a grid of 255 steps, in the float file too."""
    from ai_edge_litert import schema_py_generated as schema

    content = (trained / "files" / "digits.float32.tflite").read_bytes()
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    kernels = 0
    for tensor in model.subgraphs[0].tensors:
        data = model.buffers[tensor.buffer].data
        if data is None or tensor.type != schema.TensorType.FLOAT32 or len(tensor.shape) < 2:
            continue
        channels = np.frombuffer(bytes(data), np.float32).reshape(tensor.shape[0], -1)
        steps = channels / np.abs(channels).max(1, keepdims=True) * 127
        np.testing.assert_allclose(steps, np.rint(steps), atol=2e-3)
        kernels += 1
    assert kernels == 4


def test_the_manifest_says_how_many_ranges_were_learned(trained: Path) -> None:
    manifest = document.load(trained / "files" / "manifest.json").to_json()
    rows = [row for row in manifest["files"] if row["recipe"]["scheme"] == "int8"]
    # Input, scaling, three stages, average, logits and probabilities; the input twice in ONNX.
    assert [row["recipe"]["calibration"]["learned"] >= 7 for row in rows] == [True, True]


def test_training_goes_on_where_it_stopped(trained: Path, digits: Any) -> None:
    source = load(trained / "digits.h5")
    before = answers(source, digits.test.inputs["image"])
    result = quantize_aware(source, RECIPE, digits.train)
    assert result.kernels == ("conv1", "conv2", "conv3", "logits")
    assert result.in_float == {}
    after = answers(result.source, digits.test.inputs["image"])
    assert not np.array_equal(before, after)
    assert agreement(before, after) > 0.97
    np.testing.assert_array_equal(before, answers(source, digits.test.inputs["image"]))


def test_the_twin_gives_the_same(digits_model: Path, digits: Any) -> None:
    source, few = load(digits_model), digits.train[:256]
    twin = to_tf_keras(source).source
    one, other = (quantize_aware(s, RECIPE, few).source for s in (source, twin))
    x = digits.test.inputs["image"]
    assert agreement(answers(one, x), answers(other, x)) >= 0.995


def hardened(path: Path, factor: float) -> SourceModel:
    """The same function with channels whose ranges differ by `factor`.

    Behind the ReLU a channel is `s` times as large, and the next layer takes it 1/s times as much.
    """
    source = load(path)
    model = source.model
    rng = np.random.default_rng(0)
    for stage in (1, 2):
        norm, following = model.get_layer(f"norm{stage}"), model.get_layer(f"conv{stage + 1}")
        gamma, beta, *statistics = norm.get_weights()
        spread = np.exp(np.linspace(-0.5, 0.5, len(gamma)) * np.log(factor)).astype(np.float32)
        scale = rng.permutation(spread)
        norm.set_weights([gamma * scale, beta * scale, *statistics])
        kernel, *rest = following.get_weights()
        following.set_weights([kernel / scale[None, None, :, None], *rest])
    return source


def test_a_model_that_is_hard_to_quantize_recovers(
    digits_model: Path, digits: Any, tmp_path: Path
) -> None:
    """At least half of what post-training int8 loses comes back."""
    # So hard that half of all answers are wrong: what comes back is no matter of a few samples.
    source = hardened(digits_model, 3000.0)
    x = digits.test.inputs["image"]
    wanted = answers(load(digits_model), x)
    np.testing.assert_allclose(answers(source, x), wanted, atol=1e-4)
    settings: dict[str, Any] = {"schemes": ["int8"], "calibration": digits.train}
    # It loses more than half of the answers, and would be refused.
    settings["recipe"] = ExportRecipe(allow_inaccurate=True)
    (plain,) = edgekit.export(source, out=tmp_path / "plain", **settings)
    result = quantize_aware(
        source, QatRecipe(epochs=4, batch_size=32, learning_rate=0.002), digits.train
    )
    (aware,) = edgekit.export(result.source, out=tmp_path / "aware", **settings)
    right = digits.test.labels
    float_, ptq, qat = (
        float(np.mean(a.argmax(-1) == right))
        for a in (wanted, answers_of_file(plain.path, x), answers_of_file(aware.path, x))
    )
    assert ptq < float_ - 0.2
    assert qat - ptq >= 0.5 * (float_ - ptq)


def test_zeros_and_shared_weights_stay(digits_model: Path, digits: Any) -> None:
    """A kernel of five values, one of them zero, has five again, in the file's integers too."""
    source = load(digits_model)
    shared = {}
    for layer in source.model.layers:
        if getattr(layer, "kernel", None) is None:
            continue
        kernel, *rest = layer.get_weights()
        step = np.abs(kernel).max() / 2
        kernel = np.rint(kernel / step) * step
        layer.set_weights([kernel, *rest])
        shared[layer.name] = kernel
    result = quantize_aware(
        source, RECIPE, digits.train[:256], preserve_sparsity=True, preserve_clusters=True
    )
    assert set(result.kernels) == set(shared)
    for name, kernel in shared.items():
        ((weight, quantizer, held),) = result.source.model.get_layer(name)._weight_vars
        found = quantizer(weight, False, held).numpy()
        assert 2 <= len(np.unique(found)) <= len(np.unique(kernel)) <= 5
        assert not found[kernel == 0].any()
        # Weights that were equal are equal.
        for value in np.unique(kernel):
            assert len(np.unique(found[kernel == value])) == 1


def test_unlabelled_samples_will_do_with_a_teacher(digits_model: Path, digits: Any) -> None:
    source = load(digits_model)
    unlabelled = Samples(digits.train[:320].inputs)
    with pytest.raises(UsageError, match="no labels"):
        quantize_aware(source, RECIPE, unlabelled)
    result = quantize_aware(source, RECIPE, unlabelled, teacher=Teacher(copied(source), 1.0, 2.0))
    x = digits.test.inputs["image"]
    assert agreement(answers(source, x), answers(result.source, x)) > 0.97


def test_no_samples_and_no_kernels(digits_model: Path, digits: Any) -> None:
    import keras

    with pytest.raises(UsageError, match="needs samples to train on: give --data"):
        quantize_aware(load(digits_model), RECIPE, None)
    image = keras.Input((8, 8, 1), name="image")
    model = keras.Model(image, keras.layers.GlobalMaxPooling2D()(image))
    with pytest.raises(UsageError, match="has no layer with a kernel to quantise, expected one of"):
        quantize_aware(from_keras(Path("m.keras"), "keras", model), RECIPE, digits.train[:32])


def every_pattern() -> Any:
    """What an integer file fuses and what tfmot's own scheme stumbles over, in one network."""
    import keras

    layers = keras.layers
    inner = keras.Input((8, 8, 4), name="inner")
    y = layers.DepthwiseConv2D(3, padding="same", use_bias=False, name="depthwise")(inner)
    y = layers.ReLU(6.0)(layers.BatchNormalization()(y))
    y = layers.SeparableConv2D(4, 3, padding="same", activation="tanh", name="separable")(y)
    block = keras.Model(inner, layers.Add(name="sum")([inner, y]), name="block")
    image = keras.Input((8, 8, 3), name="image")
    x = layers.Conv2D(4, 3, padding="same", activation="relu", name="first")(image)
    x = block(block(x))
    x = layers.Conv2DTranspose(4, 2, strides=2, name="up")(layers.MaxPooling2D()(x))
    flat = layers.GlobalAveragePooling2D()(x)
    dense = layers.Dense(6, name="shared")
    a = dense(flat)
    b = dense(layers.GlobalMaxPooling2D()(x))
    scores = layers.Dense(3, activation="softmax", name="scores")(layers.Concatenate()([a, b]))
    value = layers.Dense(1, name="value")(layers.LeakyReLU()(a))
    return keras.Model(image, {"scores": scores, "value": value}, name="patterns")


@pytest.mark.slow
def test_every_pattern_at_once(tmp_path: Path) -> None:
    """Shared layers, a nested model, separable and transposed convolutions, two outputs."""
    every_pattern().save(tmp_path / "patterns.keras")
    source = load(tmp_path / "patterns.keras")
    x = np.random.default_rng(0).standard_normal((64, 8, 8, 3)).astype(np.float32)
    given = Samples({"image": x})
    result = quantize_aware(source, RECIPE, given, teacher=Teacher(source))
    assert result.in_float == {}
    assert {"first", "depthwise", "separable_linear", "up", "shared", "scores_linear"} < set(
        result.kernels
    )
    (file,) = edgekit.export(
        result.source, out=tmp_path / "out", schemes=["int8"], calibration=given
    )
    wanted = result.source.call({"image": x})
    with edgekit.load(file.path) as runner:
        found = runner.infer_batch({"image": x})
    assert list(wanted) == ["scores", "value"]
    for name, values in wanted.items():
        assert sqnr_db(values, found[name]) > 28
    result.source.model.save(tmp_path / "again.keras")
    again = load(tmp_path / "again.keras").call({"image": x})
    for name, values in wanted.items():
        np.testing.assert_array_equal(again[name], values)


@pytest.mark.slow
def test_recurrent_and_attention_layers_stay_in_float(tmp_path: Path) -> None:
    import keras

    layers = keras.layers
    series = keras.Input((6, 8), name="series")
    x = layers.MultiHeadAttention(2, 4, name="attention")(series, series)
    x = layers.LSTM(5, name="memory")(layers.Dense(6, activation="relu", name="dense")(x))
    model = keras.Model(series, layers.Dense(3, name="scores")(x))
    model.save(tmp_path / "m.keras")
    source = load(tmp_path / "m.keras")
    x = np.random.default_rng(0).standard_normal((64, 6, 8)).astype(np.float32)
    given = Samples({"series": x})
    result = quantize_aware(source, RECIPE, given, teacher=Teacher(source))
    assert result.in_float == {"attention": "MultiHeadAttention", "memory": "LSTM"}
    assert result.kernels == ("dense", "scores")
    assert [row["layer"] for row in result.to_json()["in_float"]] == ["attention", "memory"]
    assert "'memory' (LSTM) was trained in float" in result.remarks[1]
    (file,) = edgekit.export(
        result.source, out=tmp_path / "out", schemes=["int8"], calibration=given
    )
    assert sqnr_db(answers(result.source, x), answers_of_file(file.path, x)) > 20


def test_export_trains_distils_and_says_so(digits_model: Path, digits: Any, tmp_path: Path) -> None:
    lines: list[str] = []
    recipe = ExportRecipe(qat=RECIPE, distill=DistillRecipe(temperature=3.0))
    files = edgekit.export(
        digits_model,
        out=tmp_path,
        schemes=["int8"],
        # No samples to calibrate with: those to train with show what comes.
        data=digits.train[:320],
        recipe=recipe,
        progress=lines.append,
    )
    assert [Path(file.path).name for file in files] == ["digits.qat.int8.tflite"]
    assert "train for int8" in lines
    manifest = document.load(tmp_path / "manifest.json").to_json()
    (row,) = manifest["files"]
    assert row["recipe"]["qat"]["quantized_layers"] == ["conv1", "conv2", "conv3", "logits"]
    assert row["recipe"]["distill"] == {"temperature": 3.0, "weight": 0.5}
    assert row["recipe"]["calibration"]["learned"] >= 7


@pytest.mark.slow
def test_without_a_win_the_files_are_the_post_training_ones(
    small_model: Path, halves: Samples, tmp_path: Path
) -> None:
    """Pruned, then trained for int8 with steps that move nothing."""
    lines: list[str] = []
    prune = PruneRecipe(0.5, epochs=1, batch_size=32)
    recipes = [
        ExportRecipe(prune=prune, qat=QatRecipe(epochs=1, batch_size=64, learning_rate=1e-9)),
        ExportRecipe(prune=prune),
    ]
    asked: dict[str, Any] = {
        "out": tmp_path,
        "schemes": ["int8"],
        "formats": ["tflite", "onnx"],
        "calibration": halves,
        "data": halves,
        "progress": lines.append,
    }
    for recipe in recipes:
        edgekit.export(small_model, recipe=recipe, **asked)

    def bare(format: str, stem: str) -> bytes:
        content = (tmp_path / f"small.{stem}.int8.{format}").read_bytes()
        return {"tflite": strip_tflite, "onnx": strip_onnx}[format](content)

    for format in ("tflite", "onnx"):
        assert bare(format, "prune50.qat") == bare(format, "prune50")
    (said,) = (line for line in lines if "did not beat post-training int8" in line)
    assert "on the 26 samples held out (missed 0 before, 0 after); the file is the post" in said
    manifest = document.load(tmp_path / "manifest.json").to_json()
    rows = [row for row in manifest["files"] if ".qat." in row["path"]]
    assert len(rows) == 2
    for row in rows:
        told = row["recipe"]["qat"]
        assert told["kept"] == "post-training"
        judged = {"samples": 26, "measure": "wrong", "before": 0.0, "after": 0.0, "text": said}
        assert told["judged"] == judged
        assert told["quantized_layers"] == told["in_float"] == []
        assert row["recipe"]["optimized"] == ["prune50", "qat"]
    # The model of the step loads, and is taken up again.
    one, other = (load(tmp_path / f"small.{stem}.keras") for stem in ("prune50.qat", "prune50"))
    x = halves.inputs["image"]
    np.testing.assert_array_equal(answers(one, x), answers(other, x))
    before = bare("tflite", "prune50.qat")
    (tmp_path / "small.prune50.qat.int8.tflite").unlink()
    edgekit.export(small_model, recipe=recipes[0], **{**asked, "formats": ["tflite"]})
    assert bare("tflite", "prune50.qat") == before


@pytest.mark.parametrize("flavour", ["keras", "tf_keras"])
def test_without_a_win_the_model_is_left_alone(
    small: SourceModel, halves: Samples, flavour: str
) -> None:
    source = small if flavour == "keras" else to_tf_keras(small).source
    weights = [np.copy(w) for w in source.model.get_weights()]
    result = quantize_aware(source, QatRecipe(1, 32, learning_rate=5.0), halves)
    assert result.source is source
    assert (result.kernels, result.in_float) == ((), {})
    for got, wanted in zip(source.model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(got, wanted)


@pytest.mark.slow
def test_shared_weights_too_are_held_against_a_range_for_each_channel(
    small: SourceModel, halves: Samples
) -> None:
    """Which is what post-training int8 gives them."""
    layer = small.model.get_layer("mix")
    kernel, bias = layer.get_weights()
    layer.set_weights([np.rint(kernel * 4) / 4 * np.geomspace(0.01, 1, 16), bias])
    unlabelled, teacher = Samples(halves.inputs), Teacher(copied(small), 1.0)
    one, other = (
        quantize_aware(small, QatRecipe(1), unlabelled, preserve_clusters=shared, teacher=teacher)
        for shared in (False, True)
    )
    assert one.kept is not None
    assert other.kept is not None
    assert one.kept.before == pytest.approx(other.kept.before, rel=1e-6)


def test_training_on_without_a_win_leaves_what_was_learned(trained: Path, digits: Any) -> None:
    source = load(trained / "digits.keras")
    result = quantize_aware(source, QatRecipe(1, learning_rate=1e-9), digits.train[:320])
    assert result.source is source
    assert result.to_json()["kept"] == "as it came"
    assert "did not beat the model as it came" in result.remarks[-1]


@pytest.mark.parametrize(
    ("table", "key", "value"),
    [
        (QatRecipe, "epochs", 0),
        (QatRecipe, "batch_size", 0),
        (QatRecipe, "learning_rate", 0.0),
        (DistillRecipe, "temperature", 0.0),
        (DistillRecipe, "weight", 1.5),
    ],
)
def test_values_that_cannot_be(table: Any, key: str, value: Any) -> None:
    with pytest.raises(RecipeError, match=f"{key}: received {value}"):
        table(**{key: value})
