from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from edgekit.artifact import Artifact, told_apart
from edgekit.errors import DocumentError, UsageError
from edgekit.manifest import MANIFEST_NAME, ExportedFile, Manifest, Skipped, Source
from edgekit.tensor import TensorSpec


@pytest.mark.parametrize(
    ("name", "format_", "scheme"),
    [
        ("m.int8.tflite", "tflite", "int8"),
        ("m.prune50.int16x8.tflite", "tflite", "int16x8"),
        ("m.float16.TFLITE", "tflite", "float16"),
        ("m.tflite", "tflite", None),
        ("int8.tflite", "tflite", "int8"),
        ("m.v2.tflite", "tflite", None),
        ("m.dynamic.onnx", "onnx", "dynamic"),
        ("m.keras", "keras", "float32"),
        ("m.h5", "hdf5", "float32"),
        ("m.hdf5", "hdf5", "float32"),
    ],
)
def test_a_file_says_what_it_is(tmp_path: Path, name: str, format_: str, scheme: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"content")
    artifact = Artifact.of(path)
    assert (artifact.format, artifact.scheme, artifact.name) == (format_, scheme, name)
    assert artifact.to_json() == {
        "path": str(path),
        "sha256": hashlib.sha256(b"content").hexdigest(),
        "format": format_,
        "scheme": scheme,
        "size_bytes": 7,
    }


def test_a_folder_is_a_saved_model(tmp_path: Path) -> None:
    (tmp_path / "variables").mkdir()
    (tmp_path / "saved_model.pb").write_bytes(b"12")
    (tmp_path / "variables" / "data").write_bytes(b"345")
    artifact = Artifact.of(tmp_path)
    assert (artifact.format, artifact.scheme, artifact.size_bytes) == ("savedmodel", "float32", 5)


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "m.pt").touch()
    with pytest.raises(UsageError, match=r"ending '.pt', expected one of .tflite"):
        Artifact.of(tmp_path / "m.pt")
    with pytest.raises(UsageError, match="does not exist"):
        Artifact.of(tmp_path / "m.tflite")


def test_an_entry_is_relative_to_its_manifest(tmp_path: Path) -> None:
    (tmp_path / "m.int8.tflite").touch()
    artifact = Artifact.of(tmp_path / "m.int8.tflite").recorded("m.int8.tflite")
    spec = TensorSpec("x", "int8", (1, 2))
    entry = ExportedFile(artifact, (spec,), (), {"scheme": "int8"}, {}, ()).to_json()
    assert entry["path"] == "m.int8.tflite"
    assert entry["inputs"] == [spec.to_json()]
    assert entry["sha256"] == artifact.sha256


# --- exporting into a folder that holds files already --------------------------------------


def entry(name: str, note: str = "") -> ExportedFile:
    _, scheme, format_ = name.split(".")
    known = {"file": name, "format": format_, "scheme": scheme}
    artifact = Artifact.of_json({**known, "sha256": "c" * 64, "size_bytes": 1})
    return ExportedFile(artifact, (), (), {"note": note}, {}, ())


def skip(format_: str, scheme: str, reason: str = "r") -> Skipped:
    return Skipped(format_, scheme, reason)


def manifest(
    files: list[ExportedFile], skipped: list[Skipped] | None = None, sha256: str = "a" * 64
) -> Manifest:
    source = Source("m.keras", sha256, "keras", 1, "keras")
    return Manifest(source, {"edgekit": "0"}, tuple(files), tuple(skipped or ()))


def written(folder: Path, content: Manifest) -> None:
    (folder / MANIFEST_NAME).write_text(json.dumps(content.to_json()))


def test_into_an_empty_folder(tmp_path: Path) -> None:
    new = manifest([entry("m.int8.tflite")])
    assert new.merged_into(tmp_path) == new


def test_other_files_stay_and_the_same_are_replaced(tmp_path: Path) -> None:
    written(tmp_path, manifest([entry("m.int8.tflite", "old"), entry("m.float32.tflite", "old")]))
    new = manifest([entry("m.int8.tflite", "new"), entry("m.int8.onnx", "new")])
    merged = new.merged_into(tmp_path)
    assert [(row.artifact.name, row.recipe["note"]) for row in merged.files] == [
        ("m.float32.tflite", "old"),
        ("m.int8.onnx", "new"),
        ("m.int8.tflite", "new"),
    ]


def test_a_skip_stays_until_it_was_asked_again(tmp_path: Path) -> None:
    written(tmp_path, manifest([], [skip("onnx", "int16x8", "old"), skip("onnx", "int8", "old")]))
    new = manifest([entry("m.int8.onnx")], [skip("onnx", "float16")])
    assert new.merged_into(tmp_path).skipped == (
        skip("onnx", "int16x8", "old"),
        skip("onnx", "float16"),
    )
    again = manifest([], [skip("onnx", "int16x8", "new")])
    assert again.merged_into(tmp_path).skipped == (
        skip("onnx", "int8", "old"),
        skip("onnx", "int16x8", "new"),
    )


def test_files_of_another_model_do_not_mix(tmp_path: Path) -> None:
    written(tmp_path, manifest([entry("m.int8.tflite")], sha256="b" * 64))
    with pytest.raises(DocumentError, match=r"b{12}….*a{12}….*another folder"):
        manifest([]).merged_into(tmp_path)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"schema": "other/1"}', "null", '"text"'])
def test_a_strange_manifest_is_not_overwritten(tmp_path: Path, content: str) -> None:
    (tmp_path / MANIFEST_NAME).write_text(content)
    with pytest.raises(DocumentError, match="not a manifest of edgekit's"):
        manifest([]).merged_into(tmp_path)


def test_files_of_one_name_are_told_apart() -> None:
    assert told_apart(["a/m.onnx", "a/n.onnx"]) == ["m.onnx", "n.onnx"]
    assert told_apart(["/x/v1/m.onnx", "/x/v2/m.onnx"]) == ["v1/m.onnx", "v2/m.onnx"]
    assert told_apart(["v1/b/m.onnx", "v2/b/m.onnx", "m.onnx"]) == [
        "v1/b/m.onnx",
        "v2/b/m.onnx",
        "m.onnx",
    ]
    assert told_apart(["m.onnx", "m.onnx"]) == ["m.onnx", "m.onnx"]
    assert told_apart([r"C:\\v1\\m.onnx", r"C:\\v2\\m.onnx"]) == ["v1/m.onnx", "v2/m.onnx"]
