"""Weights that a model file takes from elsewhere."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import needs

from edgekit.errors import ArtifactError, UntrustedCodeError
from edgekit.models import load
from edgekit.models.untrusted import limits
from edgekit.models.untrusted.weights import walk

h5py = needs.package("h5py")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same small model as ``.keras`` and as HDF5."""
    import keras

    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, name="scores")])
    folder = tmp_path_factory.mktemp("links")
    paths = {ending: folder / f"m{ending}" for ending in (".keras", ".h5")}
    for path in paths.values():
        model.save(path)
    return paths


def external_link(file: Any, name: str, elsewhere: Path) -> None:
    del file[name]
    file[name] = h5py.ExternalLink(str(elsewhere), "/secret")


def external_storage(file: Any, name: str, elsewhere: Path) -> None:
    shape = file[name].shape
    del file[name]
    size = 4 * int(np.prod(shape))
    file.create_dataset(name, shape, "float32", external=[(str(elsewhere), 0, size)])


def virtual(file: Any, name: str, elsewhere: Path) -> None:
    shape = file[name].shape
    del file[name]
    layout = h5py.VirtualLayout(shape, "float32")
    layout[...] = h5py.VirtualSource(str(elsewhere), "secret", shape)
    file.create_virtual_dataset(name, layout)


def changed(path: Path, target: Path, change: Callable[[Any], None]) -> Path:
    """A copy whose HDF5 part was changed."""
    if path.suffix == ".h5":
        shutil.copy(path, target)
        with h5py.File(target, "r+") as file:
            change(file)
        return target
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(target, "w") as out:
        for name in archive.namelist():
            content = archive.read(name)
            if name.endswith(".h5"):
                inner = target.with_name("inner.h5")
                inner.write_bytes(content)
                with h5py.File(inner, "r+") as file:
                    change(file)
                content = inner.read_bytes()
            out.writestr(name, content)
    return target


def a_dataset(file: Any) -> str:
    found: list[str] = []
    file.visititems(lambda name, x: found.append(name) if isinstance(x, h5py.Dataset) else None)
    return found[0]


@pytest.mark.parametrize("ending", [".keras", ".h5"])
@pytest.mark.parametrize("way", [external_link, external_storage, virtual])
def test_weights_from_other_files_are_refused(
    tmp_path: Path, whole: dict[str, Path], ending: str, way: Callable[..., None]
) -> None:
    elsewhere = tmp_path / "elsewhere.h5"
    path = changed(
        whole[ending], tmp_path / f"m{ending}", lambda f: way(f, a_dataset(f), elsewhere)
    )
    with pytest.raises(UntrustedCodeError, match=r"is taken from another file, '.*elsewhere.h5'"):
        load(path)


@pytest.mark.parametrize("ending", [".keras", ".h5"])
def test_links_within_the_file_are_not(tmp_path: Path, whole: dict[str, Path], ending: str) -> None:
    def around(file: Any) -> None:
        file["again"] = file["/"]
        file["soft"] = h5py.SoftLink("/nowhere")

    path = changed(whole[ending], tmp_path / f"m{ending}", around)
    assert load(path).model.get_layer("scores").kernel.shape == (3, 2)


@pytest.mark.parametrize("ending", [".keras", ".h5"])
def test_groups_in_groups_without_end(tmp_path: Path, whole: dict[str, Path], ending: str) -> None:
    def deep(file: Any) -> None:
        for _ in range(300):
            file = file.create_group("g")

    path = changed(whole[ending], tmp_path / f"m{ending}", deep)
    with pytest.raises(UntrustedCodeError, match=r"its weights: lie over 256 groups deep"):
        load(path)


def test_more_groups_than_any_model_has(
    tmp_path: Path, whole: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_OBJECTS", 100)
    path = changed(
        whole[".h5"],
        tmp_path / "m.h5",
        lambda file: [file.create_group(f"g{n}") for n in range(101)],
    )
    with h5py.File(path) as file, pytest.raises(UntrustedCodeError, match="in over 100 places"):
        list(walk(file))


def test_weights_that_are_no_hdf5(tmp_path: Path, whole: dict[str, Path]) -> None:
    path = tmp_path / "m.keras"
    with zipfile.ZipFile(whole[".keras"]) as archive, zipfile.ZipFile(path, "w") as out:
        for name in archive.namelist():
            out.writestr(name, b"no" if name.endswith(".h5") else archive.read(name))
    with pytest.raises(ArtifactError, match="its weights cannot be read"):
        load(path)
