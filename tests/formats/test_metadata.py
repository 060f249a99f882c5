from __future__ import annotations

import contextlib
import json
import struct
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import needs

import edgekit
from edgekit.errors import ArtifactError, ExportError, UsageError
from edgekit.formats.metadata import KEY, SCHEMA, Metadata, find_tflite, from_onnx_map, read_tflite
from edgekit.formats.write_metadata import strip_onnx, strip_tflite, write_onnx, write_tflite
from edgekit.preprocess import Preprocessing, Rescale, Resize

MODELS = Path(__file__).parents[1] / "models"
TFLITE = sorted(MODELS.glob("*.tflite"))
ONNX = sorted(MODELS.glob("*.onnx"))
EXAMPLE = Metadata(
    class_names=("on", "off", "Über 🙂"),
    preprocessing={"image": Preprocessing((Resize(8, 8), Rescale(1 / 16)))},
    source_sha256="ab" * 32,
    golden_sha256="01" * 32,
    recipe={"scheme": "int8", "batch": "1", "calibration": {"samples": 200}},
)


@pytest.fixture
def saved(tmp_path: Path) -> Callable[[bytes], Path]:
    def save(content: bytes, ending: str = ".tflite") -> Path:
        path = tmp_path / f"model{ending}"
        path.write_bytes(content)
        return path

    return save


def answers(path: Path) -> dict[str, np.ndarray]:
    """What a file says to inputs that its own names, shapes and dtypes decide."""
    rng = np.random.default_rng(0)
    with edgekit.load(path) as runner:
        inputs = {
            spec.name: np.full(spec.concrete_shape(), "rot", object)
            if spec.dtype == "object"
            else rng.integers(0, 4, spec.concrete_shape()).astype(spec.dtype)
            for spec in runner.inputs
        }
        return runner.infer_raw(inputs)


def assert_same_answers(path: Path, other: Path) -> None:
    first, second = answers(path), answers(other)
    assert list(first) == list(second)
    for name, expected in first.items():
        assert second[name].dtype == expected.dtype
        assert np.array_equal(second[name], expected)


def test_json_round_trip() -> None:
    assert EXAMPLE.to_json()["schema"] == "edgekit.metadata/1"
    assert Metadata.from_json(json.loads(json.dumps(EXAMPLE.to_json()))) == EXAMPLE
    assert Metadata.from_bytes(EXAMPLE.to_bytes()) == EXAMPLE
    assert Metadata.from_json({"schema": SCHEMA}) == Metadata()


@pytest.mark.parametrize("path", TFLITE, ids=lambda path: path.name)
def test_a_tflite_file_keeps_its_model(path: Path, saved) -> None:
    content = path.read_bytes()
    assert read_tflite(path) is None
    written = write_tflite(content, EXAMPLE)
    assert read_tflite(saved(written)) == EXAMPLE
    assert_same_answers(path, saved(written))
    # What was there is there still, moved by whole lines of 64 bytes.
    assert written.endswith(content[8:])
    assert (len(written) - len(content)) % 64 == 0
    assert strip_tflite(written) == content


@pytest.mark.parametrize("path", ONNX, ids=lambda path: path.name)
def test_an_onnx_file_keeps_its_model(path: Path, saved) -> None:
    onnxruntime = needs.package("onnxruntime")
    content = path.read_bytes()
    written = write_onnx(content, EXAMPLE)
    session = onnxruntime.InferenceSession(written)
    assert from_onnx_map(session.get_modelmeta().custom_metadata_map) == EXAMPLE
    assert_same_answers(path, saved(written, ".onnx"))
    assert written.startswith(content)
    assert strip_onnx(written) == content
    bare = onnxruntime.InferenceSession(content).get_modelmeta().custom_metadata_map
    assert from_onnx_map(bare) is None


@pytest.mark.parametrize(
    ("path", "write"),
    [(MODELS / "classifier.int8.tflite", write_tflite), (MODELS / "pair.float32.onnx", write_onnx)],
    ids=["tflite", "onnx"],
)
def test_writing_again_replaces_and_gives_the_same_bytes(path: Path, write) -> None:
    content = path.read_bytes()
    other = Metadata(class_names=("something", "else"))
    written = write(content, EXAMPLE)
    assert write(content, EXAMPLE) == written
    assert write(write(content, other), EXAMPLE) == written
    assert b"something" not in write(write(content, other), EXAMPLE)
    # The order of keys is not content.
    turned = Metadata(recipe=dict(reversed(EXAMPLE.recipe.items())))
    assert write(content, turned) == write(content, Metadata(recipe=EXAMPLE.recipe))


@pytest.mark.parametrize("length", range(0, 130, 7))
def test_any_length_fits_and_stays_aligned(length: int, saved) -> None:
    metadata = Metadata(class_names=("x" * (length + 1),))
    written = write_tflite((MODELS / "classifier.float32.tflite").read_bytes(), metadata)
    assert read_tflite(saved(written)) == metadata
    assert written.index(metadata.to_bytes()) % 16 == 0


# What TensorFlow Lite's own schema makes of the files.


@pytest.fixture(scope="module")
def schema() -> Any:
    return needs.package("ai_edge_litert.schema_py_generated")


@pytest.fixture(scope="module")
def pack() -> Callable[[Any], bytes]:
    flatbuffers = needs.package("flatbuffers")

    def packed(model: Any) -> bytes:
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    return packed


def as_values(value: Any) -> Any:
    """An object of the schema as plain values."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, (list, tuple)):
        return [as_values(item) for item in value]
    if hasattr(value, "__dict__"):
        return {key: as_values(item) for key, item in vars(value).items()}
    return value


@pytest.mark.parametrize("path", TFLITE, ids=lambda path: path.name)
def test_the_schema_reads_the_same_model_and_one_entry_more(path: Path, schema: Any) -> None:
    content = path.read_bytes()
    before = as_values(schema.ModelT.InitFromPackedBuf(content, 0))
    after = as_values(schema.ModelT.InitFromPackedBuf(write_tflite(content, EXAMPLE), 0))
    entry, buffer = after["metadata"].pop(), after["buffers"].pop()
    assert entry == {"name": KEY.encode(), "buffer": len(before["buffers"])}
    assert bytes(buffer["data"]) == EXAMPLE.to_bytes()
    # No entries, in a list or without one.
    assert {**after, "metadata": after["metadata"] or None} == {
        **before,
        "metadata": before["metadata"] or None,
    }


def test_metadata_survive_a_tool_that_packs_anew_and_are_replaced(schema, pack, saved) -> None:
    content = (MODELS / "classifier.int8.tflite").read_bytes()
    other = Metadata(class_names=("something", "else"))
    packed = pack(schema.ModelT.InitFromPackedBuf(write_tflite(content, other), 0))
    assert read_tflite(saved(packed)) == other
    written = write_tflite(packed, EXAMPLE)
    assert read_tflite(saved(written)) == EXAMPLE
    model = schema.ModelT.InitFromPackedBuf(written, 0)
    assert [entry.name for entry in model.metadata].count(KEY.encode()) == 1
    assert_same_answers(MODELS / "classifier.int8.tflite", saved(written))


def test_a_model_without_any_metadata(schema, pack, saved) -> None:
    model = schema.ModelT.InitFromPackedBuf((MODELS / "pair.float32.tflite").read_bytes(), 0)
    model.metadata = None
    path = saved(pack(model))
    assert read_tflite(path) is None
    path.write_bytes(write_tflite(path.read_bytes(), EXAMPLE))
    assert read_tflite(path) == EXAMPLE
    assert_same_answers(MODELS / "pair.float32.tflite", path)


@pytest.fixture
def large(schema: Any, pack: Callable[[Any], bytes]) -> bytes:
    """A model as it is when its weights do not fit into a FlatBuffer: they lie behind it."""
    model = schema.ModelT.InitFromPackedBuf((MODELS / "classifier.float32.tflite").read_bytes(), 0)
    weights = {i: bytes(b.data) for i, b in enumerate(model.buffers) if b.data is not None}
    at = dict.fromkeys(weights, 2)
    for _ in range(2):
        # Once to see how long the FlatBuffer is, once with the places.
        for i in weights:
            buffer = model.buffers[i]
            buffer.data, buffer.offset, buffer.size = None, at[i], len(weights[i])
        content = pack(model)
        for i, data in weights.items():
            content += bytes(-len(content) % 16)
            at[i] = len(content)
            content += data
    return content


def test_weights_behind_the_flatbuffer_move_with_it(large: bytes, saved) -> None:
    original = MODELS / "classifier.float32.tflite"
    assert_same_answers(original, saved(large))
    written = write_tflite(large, EXAMPLE)
    assert read_tflite(saved(written)) == EXAMPLE
    assert_same_answers(original, saved(written))
    assert strip_tflite(written) == large
    assert write_tflite(written, EXAMPLE) == written


def test_metadata_behind_the_flatbuffer_are_found(schema, pack, saved) -> None:
    text = EXAMPLE.to_bytes()
    content = (MODELS / "classifier.float32.tflite").read_bytes()
    model = schema.ModelT.InitFromPackedBuf(write_tflite(content, Metadata()), 0)
    buffer = model.buffers[-1]
    buffer.data, buffer.offset, buffer.size = None, 2, len(text)
    buffer.offset = len(pack(model))
    assert read_tflite(saved(pack(model) + text)) == EXAMPLE
    with pytest.raises(ArtifactError, match="bytes in the file"):
        read_tflite(saved(pack(model) + text[:-1]))


def test_files_that_cannot_be_moved_are_refused(large: bytes, schema, pack, monkeypatch) -> None:
    model = schema.ModelT.InitFromPackedBuf((MODELS / "pair.float32.tflite").read_bytes(), 0)
    model.operatorCodes[0].customCode = "DISPATCH_OP"
    with pytest.raises(ExportError, match="compiled for an accelerator"):
        write_tflite(pack(model), EXAMPLE)
    with pytest.raises(ArtifactError, match="damaged or cut off"):
        write_tflite(large[:-200], EXAMPLE)
    content = (MODELS / "pair.float32.tflite").read_bytes()
    monkeypatch.setattr("edgekit.formats.write_metadata._MAX_FLATBUFFER", len(content))
    with pytest.raises(ExportError, match=f"more than {len(content)}"):
        write_tflite(content, EXAMPLE)
    monkeypatch.setattr("edgekit.formats.write_metadata._MODEL_FIELDS", 5)
    with pytest.raises(ExportError, match="a newer schema"):
        write_tflite(content, EXAMPLE)


def test_the_checker_of_onnx_agrees() -> None:
    onnx = needs.package("onnx")
    for path in ONNX:
        model = onnx.load_from_string(write_onnx(path.read_bytes(), EXAMPLE))
        onnx.checker.check_model(model)
        assert [entry.key for entry in model.metadata_props].count(KEY) == 1


def test_other_properties_of_an_onnx_file_stay() -> None:
    onnx = needs.package("onnx")
    model = onnx.load(ONNX[0])
    for key in ("author", KEY, "licence"):
        entry = model.metadata_props.add()
        entry.key, entry.value = key, f"the {key}"
    written = write_onnx(model.SerializeToString(), EXAMPLE)
    entries = onnx.load_from_string(written).metadata_props
    assert [entry.key for entry in entries] == ["author", "licence", KEY]


# Nothing here is trusted.


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            {"schema": "edgekit.metadata/2"},
            "received schema 'edgekit.metadata/2', expected",
        ),
        ({"schema": None}, "received schema None"),
        ({"class_name": []}, "unknown key 'class_name'.*Did you mean 'class_names'"),
        ({"class_names": "cat"}, "class_names: received 'cat', expected a list"),
        ({"class_names": [1]}, r"class_names\[0\]: received 1"),
        ({"class_names": [""]}, r"class_names\[0\]: received ''"),
        ({"class_names": ["\x1b[2J"]}, r"class_names\[0\]"),
        ({"class_names": ["\ud800"]}, r"class_names\[0\]"),
        ({"preprocessing": []}, "expected an object"),
        ({"preprocessing": {"x": [{"step": "resiz"}]}}, "of input 'x'.*Did you mean 'resize'"),
        ({"source_sha256": "abc"}, "source_sha256: received 'abc', expected 64 hex digits"),
        ({"golden_sha256": 7}, "golden_sha256: received 7"),
        ({"recipe": None}, "recipe: received None, expected an object"),
    ],
)
def test_json_that_is_none_of_ours_is_refused(change: dict[str, Any], says: str) -> None:
    with pytest.raises(ArtifactError, match=says):
        Metadata.from_json({**EXAMPLE.to_json(), **change})


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff", b"[]", b"null", b"[" * 100_000, b'{"schema": NaN}', b"1" * 10_000],
)
def test_text_that_is_none_of_ours_is_refused(content: bytes) -> None:
    with pytest.raises(ArtifactError):
        Metadata.from_bytes(content)
    with pytest.raises(ArtifactError):
        from_onnx_map({KEY: content.decode("latin-1")})


def test_metadata_have_a_size_limit(saved, monkeypatch) -> None:
    written = write_tflite(TFLITE[0].read_bytes(), EXAMPLE)
    monkeypatch.setattr("edgekit.formats.metadata.MAX_BYTES", 100)
    with pytest.raises(UsageError, match="expected at most 100"):
        EXAMPLE.to_bytes()
    with pytest.raises(ArtifactError, match="expected at most 100"):
        Metadata.from_bytes(b" " * 101)
    with pytest.raises(ArtifactError, match="up to 100 bytes"):
        read_tflite(saved(written))


@pytest.mark.parametrize("recipe", [{"x": {1, 2}}, {"x": float("nan")}, {"x": np.float32(1)}])
def test_a_recipe_that_json_cannot_hold_is_refused(recipe: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="JSON"):
        Metadata(recipe=recipe).to_bytes()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "cannot be read"),
        (b"TF", "of another kind"),
        (b"\x1c\0\0\0TFL4" + bytes(64), "of another kind"),
        (b"\xff\xff\xff\xffTFL3" + bytes(64), "starts at byte 4294967295, expected a multiple"),
        (b"\xfc\xff\xff\xffTFL3" + bytes(64), "points to byte 4294967292 of 72"),
        (struct.pack("<I4sI", 8, b"TFL3", 0x80000000), "points to byte 2147483656 of 12"),
        (struct.pack("<I4si", 8, b"TFL3", 100), "points to byte -92 of 12"),
    ],
)
def test_what_is_no_tflite_file_is_refused(content: bytes, says: str, saved) -> None:
    path = saved(content)
    with pytest.raises(ArtifactError, match=says) as caught:
        read_tflite(path)
    assert str(path) in str(caught.value)


def test_what_cannot_be_read_is_an_artifact_error(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.tflite", "a\0b"):
        with pytest.raises(ArtifactError, match="cannot be read"):
            read_tflite(path)


def damaged(content: bytes, count: int) -> Iterator[bytes]:
    """Cut off, bits and bytes changed (mostly in front, where the structure is), words absurd."""
    rng = np.random.default_rng(0)
    for i in range(count):
        broken = bytearray(content)
        if i % 5 == 0:
            del broken[rng.integers(len(content)) :]
        reach = min(len(broken), 700 if i % 2 else len(broken))
        for _ in range(rng.integers(1, 5) if reach > 4 else 0):
            at = int(rng.integers(reach - 4))
            if i % 3:
                broken[at] = int(rng.integers(256))
            else:
                word = rng.choice([0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, len(content)])
                struct.pack_into("<I", broken, at // 4 * 4, word)
        yield bytes(broken)


def test_damaged_tflite_files_are_read_or_refused() -> None:
    written = write_tflite((MODELS / "classifier.int8.tflite").read_bytes(), EXAMPLE)
    outcomes = {"read": 0, "none": 0, "refused": 0}
    for content in damaged(written, 4000):
        try:
            found = find_tflite(content)
            if found is not None:
                Metadata.from_bytes(found)
            outcomes["none" if found is None else "read"] += 1
        except ArtifactError:
            outcomes["refused"] += 1
    assert min(outcomes.values()) > 20, outcomes


@pytest.mark.parametrize(
    ("name", "write"),
    [("classifier.int8.tflite", write_tflite), ("classifier.float32.onnx", write_onnx)],
)
def test_writing_into_damaged_files_works_or_is_refused(name: str, write) -> None:
    for content in damaged(write((MODELS / name).read_bytes(), EXAMPLE), 1000):
        with contextlib.suppress(ArtifactError, ExportError):
            write(content, EXAMPLE)


@given(st.binary(max_size=200))
def test_any_bytes_are_an_onnx_file_or_refused(content: bytes) -> None:
    try:
        written = write_onnx(content, EXAMPLE)
    except ArtifactError:
        return
    assert strip_onnx(written) == strip_onnx(content)


def test_reading_does_not_read_the_weights(tmp_path: Path) -> None:
    """A file of 1 GiB on the disk, of which only the first block was ever written."""
    path = tmp_path / "sparse.tflite"
    path.write_bytes(write_tflite(TFLITE[0].read_bytes(), EXAMPLE))
    with path.open("r+b") as stream:
        stream.truncate(1 << 30 if sys.maxsize > 1 << 32 else 1 << 26)
    assert read_tflite(path) == EXAMPLE


def test_tasks_of_outputs_stay() -> None:
    known = Metadata(tasks={"mask": "segmentation", "": "none"})
    assert Metadata.from_bytes(known.to_bytes()) == known
    # A file without them is as files of earlier versions are.
    assert "tasks" not in Metadata().to_json()
    content = {**Metadata().to_json(), "tasks": {"mask": "segmentatoin"}}
    with pytest.raises(ArtifactError, match="Did you mean 'segmentation'"):
        Metadata.from_json(content)
