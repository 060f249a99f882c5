"""Files that ask for absurd memory or time, or are not what their names say: refused with the figure."""

from __future__ import annotations

import copy
import io
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pytest
from support import needs

from edgekit.errors import ArtifactError, UntrustedCodeError
from edgekit.models import load
from edgekit.models.untrusted import limits
from edgekit.models.untrusted.reader import Reader

h5py = needs.package("h5py")

Files = dict[str, Path]
WithConfig = Callable[[Path, Any], Path]


def layers_in(config: Any, name: str) -> list[dict[str, Any]]:
    """The configurations of all layers of a class."""
    found, waiting = [], [config]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            waiting.extend(item.values())
            if item.get("class_name") == name:
                found.append(item["config"])
        elif isinstance(item, list):
            waiting.extend(item)
    return found


@pytest.mark.parametrize("name", ["keras.keras", "keras.h5", "tf_keras.keras", "tf_keras.h5"])
def test_layers_larger_than_the_file_are_not_built(
    name: str, files: Files, configs: Any, with_config: WithConfig
) -> None:
    config = copy.deepcopy(configs[name])
    layers_in(config, "Dense")[-1]["units"] = 1_000_000_000
    start = perf_counter()
    with pytest.raises(
        UntrustedCodeError, match=r"want weights of [\d,]{11,} numbers .*--trust-code"
    ):
        load(with_config(files[name], config))
    assert perf_counter() - start < 60


def test_models_called_again_and_again_inside_of_each_other(
    files: Files, with_config: WithConfig
) -> None:
    def model(inner: Any, name: str) -> dict[str, Any]:
        tensor = {
            "class_name": "__keras_tensor__",
            "config": {"shape": [None, 2], "dtype": "float32", "keras_history": ["x", 0, 0]},
        }
        calls = [{"args": [tensor], "kwargs": {}} for _ in range(10)]
        given = {"class_name": "InputLayer", "config": {"batch_shape": [None, 2], "name": "x"}}
        return {
            "module": "keras",
            "class_name": "Functional",
            "config": {
                "name": name,
                "layers": [
                    {**given, "module": "keras.layers", "name": "x", "inbound_nodes": []},
                    {**inner, "name": inner["config"]["name"], "inbound_nodes": calls},
                ],
                "input_layers": ["x", 0, 0],
                "output_layers": [inner["config"]["name"], 9, 0],
            },
        }

    config: dict[str, Any] = {
        "module": "keras.layers",
        "class_name": "ReLU",
        "config": {"name": "relu"},
    }
    for level in range(8):
        config = model(config, f"level_{level}")
    with pytest.raises(UntrustedCodeError, match=r"are called: [\d,]+ times, .* 50,000"):
        load(with_config(files["keras.keras"], config))


def test_values_deep_in_each_other(files: Files, with_config: WithConfig) -> None:
    value: Any = 1
    for _ in range(300):
        value = [value]
    with pytest.raises(ArtifactError, match="over 128 levels deep"):
        load(with_config(files["keras.keras"], {"class_name": "Dense", "config": {"units": value}}))


def test_texts_of_brackets(tmp_path: Path) -> None:
    for text in ("[" * 100_000, "[" + "[]," * 3_000_000 + "1]", '{"a":' * 5000):
        with zipfile.ZipFile(tmp_path / "m.keras", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("config.json", text)
        with pytest.raises(ArtifactError, match=r"not a whole|million|values, where"):
            load(tmp_path / "m.keras")


def test_an_architecture_that_unpacks_to_absurd_sizes(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "m.keras", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", b" " * (limits.MAX_CONFIG_BYTES + 1))
    with pytest.raises(
        UntrustedCodeError, match=r"config\.json: unpacks to over 67 MB.*--trust-code"
    ):
        load(tmp_path / "m.keras")


def with_weights(path: Path, target: Path, change: Callable[[Any], None]) -> Path:
    """A copy with other weights, packed."""
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "model.weights.h5":
                stream = io.BytesIO(content)
                with h5py.File(stream, "r+") as file:
                    change(file)
                content = stream.getvalue()
            new.writestr(name, content)
    return target


@pytest.mark.parametrize("packed", [True, False])
def test_weights_that_unpack_to_absurd_sizes(tmp_path: Path, files: Files, packed: bool) -> None:
    def grow(file: Any) -> None:
        options = {"chunks": (1 << 20,), "compression": "gzip"} if packed else {}
        # What is never written takes no room, and reads as zeros.
        file.create_dataset("more", (800_000_000,), "float32", **options)

    path = with_weights(files["keras.keras"], tmp_path / "m.keras", grow)
    with pytest.raises(
        UntrustedCodeError, match=r"'/more': unpacks to 3,200 MB out of .*--trust-code"
    ):
        load(path)


def test_filters_that_are_libraries(tmp_path: Path, files: Files) -> None:
    def filtered(file: Any) -> None:
        properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        properties.set_chunk((4,))
        # Optional: HDF5 writes the file without it, and looks for it when it reads.
        properties.set_filter(32015, h5py.h5z.FLAG_OPTIONAL, ())
        space = h5py.h5s.create_simple((4,))
        h5py.h5d.create(file.id, b"odd", h5py.h5t.IEEE_F32LE, space, dcpl=properties)

    path = with_weights(files["keras.keras"], tmp_path / "m.keras", filtered)
    with pytest.raises(UntrustedCodeError, match="HDF5 filter 32015, a library"):
        load(path)


def test_a_file_is_what_its_content_says(tmp_path: Path, files: Files) -> None:
    (tmp_path / "m.keras").write_bytes(files["keras.h5"].read_bytes())
    (tmp_path / "m.h5").write_bytes(files["tf_keras.keras"].read_bytes())
    assert load(tmp_path / "m.keras").flavour == "keras"
    assert load(tmp_path / "m.h5").inputs[0].shape == (None, 8, 8, 2)


def test_an_archive_behind_an_hdf5_file_hides_nothing(tmp_path: Path, files: Files) -> None:
    path = tmp_path / "m.h5"
    path.write_bytes(files["keras.h5"].read_bytes())
    with h5py.File(path, "r+") as file:
        name = next(iter(file["model_weights"]))
        del file["model_weights"][name]
        file["model_weights"][name] = h5py.ExternalLink("/etc/elsewhere.h5", "/x")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("config.json", "{}")
    assert zipfile.is_zipfile(path)
    with pytest.raises(UntrustedCodeError, match=r"another file, '/etc/elsewhere.h5'"):
        load(path)


def test_nothing_else_of_an_archive_reaches_keras(tmp_path: Path, files: Files) -> None:
    path = tmp_path / "m.keras"
    path.write_bytes(files["keras.keras"].read_bytes())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("assets/../../outside.txt", "x")
        archive.writestr("assets/words.txt", "a")
        archive.writestr("model.weights.npz", "x")
    with Reader.opened(path) as reader:
        copied, numbers = reader.copied(tmp_path, {"class_name": "Mine", "config": {}})
    assert numbers > 100
    with zipfile.ZipFile(copied) as archive:
        assert archive.testzip() is None
        assert sorted(archive.namelist()) == [
            "assets/words.txt",
            "config.json",
            "metadata.json",
            "model.weights.h5",
        ]
        assert json.loads(archive.read("config.json")) == {"class_name": "Mine", "config": {}}


def test_a_pipe_is_no_model(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "m.keras")
    with pytest.raises(ArtifactError, match="not a whole"):
        load(tmp_path / "m.keras")


@pytest.mark.parametrize("size", [2**31 - 1, [1, 5000, 1]])
def test_repeating_values_without_end(tmp_path: Path, size: Any) -> None:
    """tf_keras makes a tensor of each, before any limit of memory is asked."""
    layers = [
        {"class_name": "InputLayer", "config": {"batch_input_shape": [None, 4, 4, 4, 2]}},
        {"class_name": "UpSampling3D", "config": {"name": "up", "size": size}},
    ]
    config = {"class_name": "Sequential", "config": {"name": "model", "layers": layers}}
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file.attrs["model_config"] = json.dumps(config)
    with pytest.raises(ArtifactError, match=r"'up'.*size.*whole numbers up to 4096"):
        load(tmp_path / "m.h5")


@pytest.mark.parametrize("name", ["/etc", "a/../../etc"])
def test_names_that_lead_to_other_folders(
    name: str, files: Files, configs: Any, with_config: WithConfig
) -> None:
    config = copy.deepcopy(configs["keras.keras"])
    layers_in(config, "Softmax")[0]["name"] = name
    with pytest.raises(ArtifactError, match="leads to no other folder"):
        load(with_config(files["keras.keras"], config))


def test_a_refusal_for_safety_is_final(
    tmp_path: Path, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tf_keras

    asked: list[Any] = []
    original = tf_keras.models.load_model
    monkeypatch.setattr(
        tf_keras.models, "load_model", lambda *a, **k: (asked.append(a), original(*a, **k))[1]
    )
    path = with_weights(
        files["tf_keras.keras"],
        tmp_path / "m.keras",
        lambda file: file.create_dataset("more", (800_000_000,), "float32"),
    )
    with pytest.raises(UntrustedCodeError):
        load(path)
    assert not asked
    assert load(files["tf_keras.h5"]).flavour == "tf_keras"
    assert asked


@pytest.mark.parametrize("name", ["keras.keras", "keras.h5", "tf_keras.keras", "tf_keras.h5"])
def test_what_is_normalised_answers_as_it_did(name: str, files: Files, models: Any) -> None:
    source = load(files[name])
    shape = [size or 2 for size in source.inputs[0].shape]
    x = np.random.default_rng(0).random(shape, np.float32)
    expected = models[name](x)
    if not isinstance(expected, dict):
        expected = {next(iter(spec.name for spec in source.outputs)): expected}
    for key, value in source.call({source.inputs[0].name: x}).items():
        np.testing.assert_allclose(np.asarray(value), np.asarray(expected[key]), atol=1e-6)
