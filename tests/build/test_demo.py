"""The demo, once and for real."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support import traps

from edgekit import document
from edgekit.build.demo import KEY, OUTPUTS, PIPELINE, PUBLIC_KEY, TRAIN, prepare
from edgekit.bundle.verification import verify_bundle
from edgekit.cli import main
from edgekit.errors import OutputExistsError


@pytest.mark.tensorflow
def test_the_demo_makes_all_it_promises(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    around = tmp_path / "around"
    around.mkdir()
    with traps.console(around) as edgekit:
        out = edgekit("demo", "-o", tmp_path)
    made = {path.name for path in tmp_path.iterdir()}
    tflite = {f"digits.{s}.tflite" for s in ("float32", "float16", "dynamic", "int8", "int16x8")}
    files = tflite | {"digits.prune50.int8.tflite", "digits.float32.onnx", "digits.int8.onnx"}
    assert made >= files | {*OUTPUTS} - {"digits.golden.npz"}
    for kind in ("training", "drift", "bench", "manifest", "build"):
        assert document.load(tmp_path / f"{kind}.json").kind == kind
    *rows, last = out.splitlines()
    assert rows[0].split()[:2] == ["file", "verdict"]
    assert {"size", "accuracy", "drop", "p50"} <= set(rows[0].split())
    assert len([row for row in rows if row.startswith("digits.")]) == 9
    bundle = tmp_path / "digits.tar.xz"
    assert last.startswith(f"{bundle}: ")
    assert last.endswith(f"{PUBLIC_KEY} signed it; its self-test here: pass")

    drift = json.loads((tmp_path / "drift.json").read_text())
    by_name = {row["artifact"]["path"].split("/")[-1]: row for row in drift["candidates"]}
    assert set(by_name) == files
    for name in ("digits.float32.tflite", "digits.float32.onnx"):
        assert by_name[name]["outputs"][0]["max_abs_rel"] <= 1e-5
        assert by_name[name]["task"]["agreement"] == 1
    assert by_name["digits.int8.tflite"]["task"]["drop"] <= 0.01
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    pruned = next(f for f in manifest["files"] if "prune50" in f["path"])
    assert min(pruned["recipe"]["prune"]["sparsity_by_layer"].values()) >= 0.49
    verified = verify_bundle(bundle, key=tmp_path / PUBLIC_KEY)
    assert (verified.verdict, verified.signed) == ("pass", True)

    # Again, nothing is left to do; nor for the command of builds.
    build = ["build", str(tmp_path / PIPELINE), "-o", str(tmp_path)]
    for words in (["demo", "-o", str(tmp_path)], build):
        assert main(words) == 0
        said = capfd.readouterr()
        assert said.err.count("up to date") == 8
        assert said.err.count("\n") == 8


def test_what_the_demo_begins_with_is_written_once(tmp_path: Path) -> None:
    pipeline = prepare(tmp_path / "demo")
    key = (tmp_path / "demo" / KEY).read_bytes()
    assert (tmp_path / "demo" / KEY).stat().st_mode & 0o077 == 0
    assert prepare(tmp_path / "demo") == pipeline
    assert (tmp_path / "demo" / KEY).read_bytes() == key
    prepare(tmp_path / "demo", overwrite=True)
    assert (tmp_path / "demo" / KEY).read_bytes() != key


@pytest.mark.parametrize("name", [PIPELINE, TRAIN])
def test_what_is_not_the_demos_is_not_replaced(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(OutputExistsError, match=name):
        prepare(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert main(["demo", "-o", str(tmp_path)]) == 2
    assert (tmp_path / name).read_text() == "mine"
