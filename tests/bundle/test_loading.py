"""`edgekit.load` of a bundle: whole, from who signed it, and the file that keeps its promise here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import edgekit
from edgekit.bundle import selftest as module
from edgekit.bundle.archive import write_archive
from edgekit.bundle.promise import Promise
from edgekit.errors import BundleError, UsageError

Keys = Callable[..., tuple[Path, Path]]


def test_the_smallest_file_that_runs(packed: Path) -> None:
    with edgekit.load(packed) as runner:
        assert runner.artifact.name == "classifier.int8.tflite"
    with edgekit.load(packed, threads=2) as runner:
        assert runner.options.threads == 2


def test_the_fastest_that_keeps_its_promise(
    packed: Path, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = module.error_of

    def wrong_of_int8(answers: np.ndarray, promised: np.ndarray) -> float:
        promise = Promise.load(packed / "promise.npz")
        own = promise.answers["classifier.int8.tflite"].values()
        return 9.0 if any(np.array_equal(x, promised) for x in own) else known(answers, promised)

    with edgekit.load(packed, selftest=True, key=keys("signer")[1]) as runner:
        assert runner.artifact.name.startswith("classifier.")
    monkeypatch.setattr(module, "error_of", wrong_of_int8)
    with pytest.raises(BundleError, match="this machine does not answer as it promises"):
        edgekit.load(packed, selftest=True)


def test_an_archive_is_unpacked_once(packed: Path, tmp_path: Path) -> None:
    path = tmp_path / "kws.tar.xz"
    write_archive(packed, path)
    with edgekit.load(path, selftest=True) as runner:
        first = runner.artifact.path
    with edgekit.load(path) as runner:
        assert Path(runner.artifact.path).parent == Path(first).parent
    # What somebody changed there is found.
    Path(first).write_bytes(b"")
    with pytest.raises(BundleError, match="was changed"):
        edgekit.load(path)


def test_one_that_is_not_as_it_was_made(bundle: Path, keys: Keys) -> None:
    with pytest.raises(BundleError, match="did not sign this"):
        edgekit.load(bundle, key=keys("other")[1])
    (bundle / "golden.npz").unlink()
    with pytest.raises(BundleError, match=r"golden\.npz: is not in the bundle"):
        edgekit.load(bundle)


@pytest.mark.parametrize("words", [{"selftest": True}, {"key": "k.pem"}])
def test_what_is_for_bundles_alone(models: Path, words: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="is no bundle"):
        edgekit.load(models / "classifier.int8.tflite", **words)  # type: ignore[arg-type]
