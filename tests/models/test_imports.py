"""Files of the user's that define the layers of a model."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import edgekit
from edgekit.cli import main
from edgekit.errors import ArtifactError, UsageError
from edgekit.models.imports import import_files

LAYERS = """
import keras

class Doubling(keras.layers.Layer):
    def call(self, x):
        return x * 2.0

@keras.saving.register_keras_serializable("Mine")
class Net(keras.Model):
    def __init__(self, **options):
        super().__init__(**options)
        self.double = Doubling()

    def call(self, x):
        return self.double(x) + 1.0

def shifted(x):
    return x + 3.0
"""

# Another process saves the models: this one does not know their layers.
SAVE = """
import keras, numpy as np
from {module} import Doubling, Net, shifted
given = keras.Input((4,), name="x")
x = keras.layers.Activation(shifted, name="out")(Doubling()(given))
model = keras.Model(given, x)
model.save("own.keras")
net = Net()
net(np.zeros((2, 4), "f4"))
net.save("net.keras")
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own")
    (folder / "layers_of_mine.py").write_text(LAYERS)
    code = SAVE.format(module="layers_of_mine")
    subprocess.run([sys.executable, "-c", code], cwd=folder, check=True, capture_output=True)
    np.savez(folder / "x.npz", x=np.ones((3, 4), np.float32))
    return folder


def test_layers_are_found_once_their_file_is_named(folder: Path) -> None:
    with pytest.raises(ArtifactError, match=r"layers_of_mine\.Doubling.*--import FILE\.py"):
        edgekit.load(folder / "own.keras")
    words = ["--import", str(folder / "layers_of_mine.py")]
    out = folder / "out"
    asked = ["export", str(folder / "own.keras"), "-o", str(out), "--format", "onnx", *words]
    assert main(asked) == 0
    x = np.ones((1, 4), np.float32)
    with edgekit.load(out / "own.float32.onnx") as runner:
        np.testing.assert_allclose(runner.infer({"x": x})["out"], 5.0)
    given = ["run", str(folder / "net.keras"), "--samples", str(folder / "x.npz")]
    assert main([*given, "-o", str(folder / "answers.npz"), *words]) == 0
    with np.load(folder / "answers.npz") as answers:
        np.testing.assert_allclose(next(iter(answers.values())), 3.0)
    assert "layers_of_mine" not in sys.modules
    assert str(folder) not in sys.path


def test_a_file_that_does_not_run_is_no_traceback(tmp_path: Path) -> None:
    file = tmp_path / "broken.py"
    file.write_text("import no_such_module_anywhere")
    with pytest.raises(UsageError, match=r"broken\.py does not run: ModuleNotFoundError"):
        import_files([file])
    other = tmp_path / "layers.txt"
    other.write_text("")
    with pytest.raises(UsageError, match="expected a Python file"):
        import_files([other])
