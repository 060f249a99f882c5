"""Who runs which file: the table, what is read of a file, and files made for a target."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import needs

import edgekit
from edgekit import document
from edgekit.artifact import Artifact
from edgekit.convert.refusals import place
from edgekit.convert.targets import Aim, fit
from edgekit.device import list_devices
from edgekit.errors import ArtifactError, ExportError, UsageError
from edgekit.formats.graph import Model
from edgekit.formats.model_file import ModelFile, read_model
from edgekit.formats.onnx import read_onnx
from edgekit.inspection.compatibility import (
    INTERPRETERS,
    Target,
    _Table,
    check,
    limits_of,
    loadable_by,
    needs_of,
    slower_in_int8,
)
from edgekit.inspection.needs import Need
from edgekit.recipe import ExportRecipe
from edgekit.samples import Samples

MODELS = Path(__file__).parents[1] / "models"
# What the table was measured for; the runtime's odder files (texts, states, tables) hold operators that
# no exported model of the corpus has, and are unmeasured.
COVERED = ("classifier", "dynamic", "kinds", "numbered", "pair", "stubborn", "tokens", "unsigned")
FILES = sorted(p for p in MODELS.iterdir() if p.name.split(".")[0] in COVERED)
VERSIONS = _Table.read().versions
OLD = Target("tflite-runtime", "2.14.0")
NEWEST = {name: Target(name, versions[-1]) for name, versions in VERSIONS.items()}


def read(path: Path) -> Model:
    return read_model(path.read_bytes(), path.suffix.removeprefix("."))


@given(st.sampled_from([(name, v) for name, versions in VERSIONS.items() for v in versions]))
def test_every_measured_target_can_be_named(which: tuple[str, str]) -> None:
    target = Target(*which)
    assert Target.parse(str(target)) == target
    # Cut short, it stands for the newest that begins so.
    short = Target.parse(str(target).rsplit(".", 1)[0])
    assert short.version.startswith(target.version.rsplit(".", 1)[0])
    assert VERSIONS[short.interpreter].index(short.version) >= VERSIONS[which[0]].index(which[1])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("tflite-runtme==2.14", "Did you mean 'tflite-runtime'"),
        ("tflite-runtime==2.15", "2.15 was not measured, expected one of 2.11.0"),
        ("tflite-runtime==2.1", "was not measured"),
        ("onnxruntime", "names no version"),
    ],
)
def test_unknown_targets_are_wrong_usage(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        Target.parse(text)


def test_every_board_installs_what_was_measured() -> None:
    for profile in list_devices():
        for userland in profile.userlands:
            assert userland.releases, f"{profile.id}, {userland.name}"
            for text in userland.releases:
                assert str(Target.parse(text)) == text
                assert Target.parse(text).interpreter in userland.interpreters


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_newest_interpreters_run_the_files_that_tests_run(path: Path) -> None:
    model = read(path)
    versions = loadable_by(model)
    assert set(versions) == set(INTERPRETERS[model.format])
    newest = INTERPRETERS[model.format][0]
    assert VERSIONS[newest][-1] in versions[newest]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_check_and_loadable_by_agree(path: Path) -> None:
    model = read(path)
    for name, versions in loadable_by(model).items():
        for version in VERSIONS[name]:
            assert (version in versions) == (not check(model, Target(name, version)))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_what_the_table_says_of_the_installed_interpreter_is_so(path: Path) -> None:
    with edgekit.load(path) as runner:
        name = {"litert": "ai-edge-litert"}.get(runner.backend.name, runner.backend.name)
        target = Target(name, runner.backend.version)
        if target.version not in VERSIONS[name]:
            needs.not_here(f"{target} was not measured")
        zeros = {
            s.name: np.zeros([n or 1 for n in s.shape], s.dtype if s.dtype != "string" else object)
            for s in runner.inputs
        }
        runner.infer_raw(zeros)
    assert check(read(path), target) == ()


@given(
    path=st.sampled_from(FILES),
    at=st.floats(0, 1, exclude_max=True),
    length=st.integers(0, 8),
    junk=st.binary(max_size=8),
)
def test_damaged_files_are_refused_with_a_typed_error(
    path: Path, at: float, length: int, junk: bytes
) -> None:
    content = path.read_bytes()
    position = int(at * len(content))
    content = content[:position] + junk + content[position + length :]
    with contextlib.suppress(ArtifactError):
        needs_of(read_model(content, path.suffix.removeprefix(".")))


def test_a_dense_layer_with_a_scale_a_channel_is_known_to_go_wrong() -> None:
    table = _Table.read()
    need = needs_of(read(MODELS / "dynamic.float32.tflite"))
    dense = next(n for n in need if n.op == "FULLY_CONNECTED")
    types = "float32, const int8/{}, {} > float32"
    for bias in ("none", "const float32"):
        per_channel = type(dense)(dense.op, types.format("channel", bias), 1, 2, "")
        per_tensor = type(dense)(dense.op, types.format("tensor", bias), 1, 2, "")
        assert table.incompatibility(per_channel, OLD)
        assert table.incompatibility(per_tensor, OLD) is None
        assert table.incompatibility(per_channel, NEWEST["ai-edge-litert"]) is None


@pytest.mark.parametrize(
    ("op", "measured", "says"),
    [
        ("FlexErf", True, "the Flex delegate"),
        ("LSH_PROJECTION", False, "the operator was not tried"),
        ("operator 250", False, "the operator was not tried"),
        ("MyOwnNMS", False, "a custom operator"),
        # Known to all, but not with these types.
        ("ADD", False, "types 'complex64 > complex64' were not tried"),
    ],
)
def test_what_nobody_tried_is_not_denied(op: str, measured: bool, says: str) -> None:
    table = _Table.read()
    need = Need(op, "complex64 > complex64", 1, 2, "y")
    for name in INTERPRETERS["tflite"]:
        found = table.incompatibility(need, NEWEST[name])
        assert found is not None
        assert (found.op, found.tensor, found.measured) == (op, "y", measured)
        assert says in found.reason


def test_what_failed_somewhere_is_denied_there() -> None:
    table = _Table.read()
    convolution = next(
        n for n in needs_of(read(MODELS / "classifier.float32.tflite")) if n.op == "CONV_2D"
    )
    assert table.incompatibility(convolution, OLD) is None
    newer = replace(convolution, version=50)
    found = table.incompatibility(newer, OLD)
    assert found is not None
    assert found.measured
    assert "version 50 is above" in found.reason
    # More axes than anybody tried.
    wider = table.incompatibility(replace(convolution, rank=9), OLD)
    assert wider is not None
    assert not wider.measured


def test_operators_of_other_makers_are_custom() -> None:
    table = _Table.read()
    for op, says in (("my.ops.Blur", "custom"), ("com.microsoft.NoSuch", "were not tried")):
        found = table.incompatibility(
            Need(op, "float32 > float32", 1, 2, ""), NEWEST["onnxruntime"]
        )
        assert found is not None
        assert not found.measured
        assert says in found.reason


def test_a_target_that_nobody_tried_gets_the_file_and_a_warning() -> None:
    content = (MODELS / "ledger.float32.tflite").read_bytes()
    file, target = ModelFile.read(content, "tflite"), NEWEST["ai-edge-litert"]
    assert not any(each.measured for each in check(file.model, target))
    fitted = fit(file, "float32", Aim((target,)))
    assert fitted.file is file
    (warning,) = fitted.warnings
    assert warning.startswith(f"was not measured on {target}, try it there: ")
    assert "READ_VARIABLE: types 'resource > float32' were not tried" in warning


def test_what_fails_comes_before_what_is_unmeasured() -> None:
    onnx = needs.package("onnx")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [helper.make_node("Blur", ["x"], ["y"], domain="my.ops")],
        "g",
        [helper.make_tensor_value_info("x", kind, [1, 2])],
        [helper.make_tensor_value_info("y", kind, [1, 2])],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("my.ops", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=13)
    found = check(read_onnx(model.SerializeToString()), Target("onnxruntime", "1.16.3"))
    assert [each.measured for each in found] == [True, False]
    assert found[0].reason == "IR version 13 is above 9, the highest"


@pytest.mark.parametrize(
    ("path", "layers", "found"),
    [
        ("model_1/conv_1/Relu;model_1/conv_1/convolution1", ("conv", "dense"), "conv"),
        ("functional_1/conv2d_1_2/convolution1", ("conv2d", "conv2d_1"), "conv2d_1"),
        ("model/body/head/MatMul", ("body", "head"), "head"),
        ("model/head_2/MatMul", ("head_2",), "head_2"),
        ("StatefulPartitionedCall:0", ("head",), None),
        ("", (), None),
        ("StatefulPartitionedCall:7", (), None),
    ],
)
def test_a_tensors_name_tells_its_layer(
    path: str, layers: tuple[str, ...], found: str | None
) -> None:
    told = place(path, layers, ["score"])
    assert told.startswith("layer ") == (found is not None)
    assert found is None or repr(found) in told


def raised(path: Path, opset: int, ir_version: int) -> bytes:
    import onnx

    proto = onnx.version_converter.convert_version(onnx.load(path), opset)
    proto.ir_version = ir_version
    content: bytes = proto.SerializeToString()
    return content


def test_a_newer_onnx_file_is_lowered_for_an_older_onnxruntime(tmp_path: Path) -> None:
    target = Target.parse("onnxruntime==1.16.3")
    limits = limits_of(target)
    content = raised(MODELS / "pair.float32.onnx", limits["opset"] + 2, limits["ir_version"] + 1)
    file = ModelFile.read(content, "onnx")
    assert {m.op for m in check(file.model, target)} == {""}
    fitted = fit(file, "float32", Aim((target,)))
    assert len(fitted.fallbacks) == 2
    assert check(fitted.file.model, target) == ()
    assert fitted.file.model == read_onnx(fitted.file.content)
    inputs = {n: np.ones((1, 2, 2, 3), np.float32) for n in ("left", "right")}
    (tmp_path / "lower.onnx").write_bytes(fitted.file.content)
    with (
        edgekit.load(tmp_path / "lower.onnx") as lower,
        edgekit.load(MODELS / "pair.float32.onnx") as original,
    ):
        for name, expected in original.infer(inputs).items():
            assert np.abs(lower.infer(inputs)[name] - expected).max() < 1e-5


def saved(folder: Path, body: Any, shape: tuple[int, ...] = (6, 4)) -> Path:
    import keras

    keras.utils.set_random_seed(0)
    x = keras.Input(shape, name="x")
    keras.Model(x, body(keras.layers, x), name="model").save(folder / "m.keras")
    return folder / "m.keras"


def manifest(folder: Path) -> dict[str, Any]:
    content = document.load(folder / "manifest.json").to_json()
    return dict(content)


def calibration(shape: tuple[int, ...] = (6, 4)) -> Samples:
    return Samples({"x": np.random.default_rng(0).standard_normal((16, *shape)).astype("float32")})


@pytest.mark.tensorflow
def test_an_operator_that_a_target_has_not_is_left_in_float(tmp_path: Path) -> None:
    model = saved(tmp_path, lambda layers, x: layers.Conv1DTranspose(3, 3, name="up")(x))
    out = tmp_path / "out"
    (file,) = edgekit.export(
        model, out=out, schemes=["dynamic"], recipe=ExportRecipe(targets=("tflite-runtime==2.14",))
    )
    assert check(read(file.path), OLD) == ()
    recipe = manifest(out)["files"][0]["recipe"]
    assert recipe["targets"] == ["tflite-runtime==2.14.0"]
    assert recipe["fallbacks"] == ["TRANSPOSE_CONV left in float for tflite-runtime==2.14.0"]


@pytest.mark.tensorflow
def test_an_int8_onnx_file_is_valid_and_made_for_the_oldest_onnxruntime(tmp_path: Path) -> None:
    import onnx

    model = saved(tmp_path, lambda layers, x: layers.Dense(3)(layers.Conv1D(4, 3)(x)))
    (file,) = edgekit.export(
        model,
        out=tmp_path / "out",
        schemes=["int8"],
        formats=["onnx"],
        calibration=calibration(),
        recipe=ExportRecipe(targets=("onnxruntime==1.16.3",)),
    )
    onnx.checker.check_model(onnx.load(file.path), full_check=True)
    assert loadable_by(read(file.path))["onnxruntime"] == tuple(VERSIONS["onnxruntime"])


@pytest.mark.tensorflow
def test_without_a_target_nothing_is_changed(tmp_path: Path) -> None:
    model = saved(tmp_path, lambda layers, x: layers.Conv1DTranspose(3, 3, name="up")(x))
    (file,) = edgekit.export(model, out=tmp_path / "out", schemes=["dynamic"])
    assert {m.op for m in check(read(file.path), OLD)} == {"TRANSPOSE_CONV"}
    entry = manifest(tmp_path / "out")["files"][0]
    assert entry["warnings"] == []
    assert not {"targets", "fallbacks"} & set(entry["recipe"])


def skipping(layers: Any, x: Any) -> Any:
    """Until ai-edge-litert 2.2, XNNPACK answers such a convolution with other numbers, where it pads: of 18 rows,
    with one more."""
    return layers.Conv2D(2, 3, strides=4, padding="same", name="skip")(x)


@pytest.mark.tensorflow
def test_a_file_that_a_target_cannot_run_is_refused_with_its_layer(tmp_path: Path) -> None:
    model = saved(tmp_path, lambda layers, x: layers.Flatten()(skipping(layers, x)), (18, 18, 3))
    recipe = ExportRecipe(targets=("ai-edge-litert==2.1.6",))
    with pytest.raises(ExportError, match=r"ai-edge-litert==2\.1\.6 cannot run it.*layer 'skip'"):
        edgekit.export(model, out=tmp_path / "out", schemes=["float32"], recipe=recipe)
    assert not (tmp_path / "out").exists()
    edgekit.export(
        model,
        out=tmp_path / "out",
        schemes=["float32"],
        recipe=ExportRecipe(targets=("ai-edge-litert==2.3.0",)),
    )


@pytest.mark.tensorflow
def test_a_board_is_told_which_of_its_systems_run_a_file(tmp_path: Path) -> None:
    model = saved(tmp_path, skipping, (18, 18, 3))
    told: list[str] = []
    edgekit.export(
        model,
        out=tmp_path / "out",
        schemes=["float32", "int8"],
        formats=["tflite", "onnx"],
        calibration=calibration((18, 18, 3)),
        recipe=ExportRecipe(device="raspberry-pi-3b"),
        progress=told.append,
    )
    files = {row["path"]: row for row in manifest(tmp_path / "out")["files"]}
    (narrow,) = files["m.float32.tflite"]["warnings"]
    assert "does not run on Raspberry Pi OS 32-bit (Debian 12)" in narrow
    (onnx,) = files["m.float32.onnx"]["warnings"]
    assert "32-bit (Debian 12), which cannot install onnxruntime" in onnx
    assert any("is slower than the float32 file" in w for w in files["m.int8.tflite"]["warnings"])
    assert any(narrow in line for line in told)
    assert document.load(tmp_path / "out" / "manifest.json")


def test_int8_is_known_to_be_slow_where_it_is() -> None:
    assert slower_in_int8(OLD)
    assert not slower_in_int8(NEWEST["ai-edge-litert"])
    assert not slower_in_int8(NEWEST["onnxruntime"])


def test_a_target_of_another_format_is_wrong_usage() -> None:
    with pytest.raises(UsageError, match="runs onnx files, and the formats to be made are tflite"):
        Aim.of(ExportRecipe(targets=("onnxruntime==1.16.3",)), "tflite")


def memory(layers: Any, x: Any) -> Any:
    return layers.Dense(2, name="head")(layers.LSTM(3, name="memory")(x))


@pytest.mark.slow
@pytest.mark.tensorflow
def test_flex_is_refused_with_layer_operator_and_what_helps(tmp_path: Path) -> None:
    # Too long to be unrolled.
    model = saved(tmp_path, memory, (40, 4))
    recipe = ExportRecipe(batch="dynamic")
    with pytest.raises(ExportError) as caught:
        edgekit.export(model, out=tmp_path / "out", schemes=["float32"], recipe=recipe)
    for part in (
        "layer 'memory'",
        "TensorListReserve",
        "fixed batch",
        "Another layer",
        "--allow-flex",
    ):
        assert part in str(caught.value)
    assert not (tmp_path / "out").exists()
    # A fixed batch does help.
    edgekit.export(model, out=tmp_path / "fixed", schemes=["float32"])


@pytest.mark.tensorflow
def test_flex_comes_in_when_it_is_asked_for(tmp_path: Path) -> None:
    model = saved(tmp_path, memory, (40, 4))
    (file,) = edgekit.export(
        model,
        out=tmp_path,
        schemes=["float32"],
        recipe=ExportRecipe(batch="dynamic", allow_flex=True),
    )
    model = read(file.path)
    assert loadable_by(model) == dict.fromkeys(INTERPRETERS["tflite"], ())
    assert any("Flex" in each.op and each.measured for each in check(model, OLD))
    entry = manifest(tmp_path)["files"][0]
    assert "Flex delegate" in entry["warnings"][0]
    assert [s["name"] for s in entry["inputs"]] == ["x"]
    assert Artifact.of(file.path).sha256 == entry["sha256"]


def test_real_values_that_are_rearranged_before_they_are_quantised_are_marked() -> None:
    onnx = needs.package("onnx")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT

    def types(*first: str) -> str:
        nodes = [
            helper.make_node("Reshape", [first[0], "shape"], ["x"]),
            helper.make_node("Transpose", [first[1]], ["y"], perm=[0, 3, 1, 2]),
            helper.make_node("QuantizeLinear", ["y", "scale", "zero"], ["q"]),
        ]
        graph = helper.make_graph(
            nodes,
            "g",
            [helper.make_tensor_value_info("image", kind, [1, 4, 4, 1])],
            [helper.make_tensor_value_info("q", onnx.TensorProto.UINT8, [1, 1, 4, 4])],
            [
                helper.make_tensor("shape", onnx.TensorProto.INT64, [4], [1, 4, 4, 1]),
                helper.make_tensor("scale", kind, [], [0.1]),
                helper.make_tensor("zero", onnx.TensorProto.UINT8, [], [3]),
            ],
        )
        return needs_of(read_onnx(helper.make_model(graph).SerializeToString()))[-1].types

    assert types("image", "x").endswith(", reshaped and transposed before")
    assert not types("image", "image").endswith("before")
