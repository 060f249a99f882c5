"""`edgekit verify`, `selftest`, `seal`, `install` and `rollback`: exit codes, and one line for what is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from support import needs

import edgekit
from edgekit.artifact import Artifact
from edgekit.bundle.pack import Parts, pack
from edgekit.cli import main
from edgekit.drift.golden import Golden
from edgekit.manifest import ExportedFile, Manifest, Source
from edgekit.samples import Samples


@pytest.fixture(scope="module")
def bundle(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    needs.package("cyclonedx")
    folder = tmp_path_factory.mktemp("bundle")
    path = models / "classifier.float32.tflite"
    with edgekit.load(path) as runner:
        (spec,) = runner.inputs
        x = np.random.default_rng(0).uniform(0, 15, (8, *spec.shape[1:])).astype(np.float32)
        samples = Samples({spec.name: x})
        golden = Golden.of(runner, samples).save(folder / "golden.npz")
        entry = ExportedFile(Artifact.of(path), runner.inputs, runner.outputs, {}, {}, ())
    drift = edgekit.compare(golden, path)
    manifest = Manifest(Source("c.keras", "0" * 64, "keras", 1, "keras"), {}, (entry,))
    pack(Parts("c", (path,), manifest, folder / "golden.npz", drift, samples), folder / "c.tar.xz")
    return folder / "c.tar.xz"


def test_an_unsigned_bundle(bundle: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(bundle)]) == 1
    said = capfd.readouterr()
    assert json.loads(said.out)["verdict"] == "fail"
    assert f"{bundle}: is not signed" in said.err
    assert main(["verify", str(bundle), "--allow-unsigned"]) == 0
    assert "nobody is known to have signed it" in capfd.readouterr().err


def test_a_promise_that_is_kept(bundle: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["selftest", str(bundle)]) == 0
    said = capfd.readouterr()
    content = json.loads(said.out)
    assert (content["verdict"], content["best"]) == ("pass", "classifier.float32.tflite")
    assert "classifier.float32.tflite: pass on " in said.err


def test_install_and_rollback(
    bundle: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    into = str(tmp_path / "kws")
    assert main(["install", str(bundle), "--into", into]) == 1
    assert "is not signed. It is not installed" in capfd.readouterr().err
    assert main(["install", str(bundle), "--into", into, "--allow-unsigned"]) == 0
    assert "active is " in capfd.readouterr().err
    assert (tmp_path / "kws/current/bundle.json").is_file()
    assert main(["rollback", into]) == 2
    assert "has no bundle before" in capfd.readouterr().err


def test_a_sealed_bundle(
    bundle: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    x25519 = needs.package("pyrage").x25519
    key, other = x25519.Identity.generate(), x25519.Identity.generate()
    file, out = tmp_path / "key.txt", str(tmp_path / "sealed.tar.xz")
    file.write_text(f"{key}\n")
    monkeypatch.delenv("EDGEKIT_IDENTITY", raising=False)
    to = ["--recipient", str(key.to_public())]
    assert main(["seal", str(bundle), "-o", out, *to]) == 0
    said = capfd.readouterr()
    assert json.loads(said.out)["files"][-1]["seal"] is None
    assert "1 model file sealed to 1 recipient, unsigned: --key signs it" in said.err
    assert main(["seal", str(bundle), "-o", out, *to]) == 2
    assert main(["seal", out, "-o", str(tmp_path / "twice"), *to]) == 2
    assert "is sealed already" in capfd.readouterr().err
    assert main(["seal", str(bundle), "-o", out, "--recipient", str(key), "--overwrite"]) == 2
    said = capfd.readouterr()
    assert "received a secret key itself" in said.err
    assert str(key)[20:40] not in said.err + said.out

    assert main(["verify", out, "--allow-unsigned"]) == 0
    into = ["--into", str(tmp_path / "kws"), "--allow-unsigned"]
    for words in (["selftest", out], ["install", out, *into]):
        assert main(words) == 2
        assert "is sealed. Name the file" in capfd.readouterr().err
        assert main([*words, "--identity", str(key)]) == 2
        assert str(key)[20:40] not in capfd.readouterr().err
        assert main([*words, "--identity", str(file)]) == 0
        said = capfd.readouterr()
        assert str(key)[20:40] not in said.err + said.out
    assert not list((tmp_path / "kws").rglob("*.tflite"))
    monkeypatch.setenv("EDGEKIT_IDENTITY", str(other))
    assert main(["selftest", out]) == 2
    assert "was not sealed to this identity" in capfd.readouterr().err
    monkeypatch.setenv("EDGEKIT_IDENTITY", str(key))
    assert main(["selftest", out]) == 0
    assert main(["devices", "run", "board", "--selftest", out]) == 2
    assert "keys are not sent to boards" in capfd.readouterr().err


@pytest.mark.parametrize("command", ["verify", "selftest"])
def test_what_is_no_bundle(
    command: str, models: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    allow = ["--allow-unsigned"] if command == "verify" else []
    assert main([command, str(models / "classifier.float32.tflite"), *allow]) == 1
    assert "cannot be read as a bundle" in capfd.readouterr().err
    assert main([command, str(tmp_path / "nothing"), *allow]) == 2
    assert "does not exist" in capfd.readouterr().err
