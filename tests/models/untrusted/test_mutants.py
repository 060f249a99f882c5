"""Configurations with something changed in them: read in time, with a typed error or a normal result."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest
from support.keras_mutants import mutant, places

from edgekit.errors import ArtifactError
from edgekit.models import load
from edgekit.models.untrusted import KerasFile, Names, normalised
from edgekit.models.untrusted.names import GROUPS

NAMES = {"keras": Names("keras"), "tf_keras": Names("tf_keras")}


def named_in(config: Any) -> Iterator[tuple[Any, Any]]:
    for holder, key in places({"": config}):
        item = holder[key]
        if isinstance(item, dict) and "class_name" in item:
            yield item.get("module"), item["class_name"]


@pytest.mark.parametrize("name", ["keras.keras", "keras.h5", "tf_keras.keras", "tf_keras.h5"])
def test_mutants_are_refused_or_normal(name: str, configs: dict[str, Any]) -> None:
    rng = random.Random(name)
    allowed = {
        (None if module is None else str(module), str(cls))
        for config in configs.values()
        for flavour in NAMES
        for module, cls in named_in(safe(config, flavour))
    }
    passed = 0
    start = perf_counter()
    for _ in range(150):
        changed = mutant(configs[name], rng)
        for flavour in NAMES:
            result = safe(changed, flavour)
            passed += bool(result)
            # Once more gives the same: nothing of it is the author's any more.
            if result:
                assert json.dumps(normalised(result, NAMES, flavour)) == json.dumps(result)
                for module, cls in named_in(result):
                    known = (module, cls) in allowed or (None, cls) in allowed
                    assert known or NAMES[flavour].class_of(
                        {"module": module, "class_name": cls}, GROUPS
                    ), (module, cls)
    assert passed > 15
    assert perf_counter() - start < 120


def safe(config: Any, flavour: str) -> Any:
    try:
        return normalised(config, NAMES, flavour)
    except ArtifactError:
        return None


@pytest.mark.parametrize("name", ["keras.keras", "tf_keras.h5"])
def test_files_of_mutants_load_or_say_why(
    name: str,
    files: dict[str, Path],
    configs: dict[str, Any],
    with_config: Callable[[Path, Any], Path],
) -> None:
    rng = random.Random(f"files {name}")
    loaded = 0
    for _ in range(20):
        path = with_config(files[name], mutant(configs[name], rng, most=1))
        # Anything else than this is a fault.
        with suppress(ArtifactError):
            load(path)
            loaded += 1
    assert loaded


def test_reading_needs_no_tensorflow(files: dict[str, Path], tmp_path: Path) -> None:
    import subprocess
    import sys

    code = """
import sys
from pathlib import Path
from edgekit.models.untrusted import Names
from edgekit.models.untrusted.reader import Reader
names = {"keras": Names("keras"), "tf_keras": Names("tf_keras")}
with Reader.opened(Path(sys.argv[1])) as reader:
    copy, numbers = reader.copied(Path(sys.argv[2]), reader.normalised(names, "keras"))
assert numbers > 100
assert not {"tensorflow", "keras", "tf_keras"} & set(sys.modules), "TensorFlow was imported"
"""
    subprocess.run(
        [sys.executable, "-c", code, files["keras.keras"], tmp_path], check=True, cwd=tmp_path
    )
    assert KerasFile.read(files["keras.keras"]).version.startswith("3.")
