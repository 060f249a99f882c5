"""The tables of what an untrusted file may name are those of the installed Keras packages."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[3] / "scripts" / "keras_tables.py"


@pytest.mark.slow
def test_they_are_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_another_table_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = importlib.util.spec_from_file_location("keras_tables", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name in ("keras", "tf_keras"):
        shutil.copy(module.FOLDER / f"{name}.json", tmp_path)
    monkeypatch.setattr(module, "FOLDER", tmp_path)
    monkeypatch.setattr(module, "of_keras", lambda: {"a": 1})
    monkeypatch.setattr(module, "of_tf_keras", lambda: {"b": 2})
    monkeypatch.setattr(sys, "argv", ["keras_tables.py", "--check"])
    assert module.main() == 1
    assert "keras.json is not what the installed keras gives" in capsys.readouterr().err
    monkeypatch.setattr(sys, "argv", ["keras_tables.py"])
    assert module.main() == 0
    monkeypatch.setattr(sys, "argv", ["keras_tables.py", "--check"])
    assert module.main() == 0
