"""Self-test: what was promised is kept here, and each kind of corruption is caught."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import edgekit
from edgekit import document
from edgekit.bundle.contents import NAME, Bundle, digests_of
from edgekit.bundle.promise import Promise, error_of
from edgekit.bundle.selftest import FAIL, LEFT_OUT, PASS, Selftest, SelftestFile, selftest
from edgekit.errors import ArtifactError, DocumentError

Keys = Callable[..., tuple[Path, Path]]
INT8 = "classifier.int8.tflite"


def listed_anew(bundle: Path) -> None:
    """As one who changes a file would: the list agrees with it again."""
    contents = document.load(bundle / NAME)
    assert isinstance(contents, Bundle)
    digests = digests_of(bundle)
    files = tuple(replace(file, sha256=digests[file.path]) for file in contents.files)
    document.write(bundle / NAME, replace(contents, files=files).to_json())


def test_this_machine_keeps_the_promise(packed: Path, keys: Keys) -> None:
    found = selftest(packed, key=keys("signer")[1])
    assert found.verdict == PASS
    assert [file.verdict for file in found.files] == [PASS, PASS]
    assert all(file.error is not None and file.error <= 1 for file in found.files)
    assert found.best in {file.path for file in found.files}
    assert selftest(packed).verdict == PASS


def test_a_changed_file_is_not_run(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = bytearray((bundle / INT8).read_bytes())
    # A bit of a weight.
    content[len(content) // 2] ^= 1
    (bundle / INT8).write_bytes(content)
    monkeypatch.setattr("edgekit.bundle.selftest.load", None)
    found = selftest(bundle)
    assert found.verdict == FAIL
    assert found.problems == (f"{INT8}: was changed",)
    assert found.files == ()


def test_another_file_under_the_same_name(bundle: Path, models: Path) -> None:
    shutil.copy(models / "classifier.dynamic.tflite", bundle / INT8)
    with edgekit.load(bundle / INT8) as other, edgekit.load(models / INT8) as own:
        x = np.random.default_rng(1).normal(0, 1, (8, *own.inputs[0].shape[1:]))
        given = {own.inputs[0].name: x.astype(np.float32)}
        same = [
            error_of(a, b)
            for a, b in zip(
                other.infer_batch(given).values(), own.infer_batch(given).values(), strict=True
            )
        ]
    listed_anew(bundle)
    found = selftest(bundle)
    # Two schemes of one model may be that near.
    assert (found.verdict == FAIL) or max(same) < 0.05
    shutil.copy(models / "gauge.float32.tflite", bundle / INT8)
    listed_anew(bundle)
    assert selftest(bundle).verdict == FAIL


def test_a_kernel_that_is_wrong(packed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from edgekit.bundle import selftest as module

    known = module.asked

    def wrong(runner: object, inputs: object) -> dict[str, np.ndarray]:
        # Sums of each second channel saturate.
        answers = known(runner, inputs)  # type: ignore[arg-type]
        return {
            name: np.where(np.arange(x.shape[-1]) % 2, np.minimum(x, np.median(x)), x)
            for name, x in answers.items()
        }

    monkeypatch.setattr(module, "asked", wrong)
    found = selftest(packed)
    assert found.verdict == FAIL
    assert all(
        "does not answer as those where the bundle was made" in f.reason for f in found.files
    )


def test_samples_that_are_prepared_wrongly(packed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from edgekit.bundle import selftest as module

    known = module.asked

    def wrong(runner: object, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return known(runner, {name: x / 255 for name, x in inputs.items()})  # type: ignore[arg-type]

    monkeypatch.setattr(module, "asked", wrong)
    assert selftest(packed).verdict == FAIL


def test_a_file_that_nothing_here_runs_is_left_out(
    packed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgekit.bundle import selftest as module

    known = module.load

    def partly(path: Path, **options: object) -> object:
        if path.name == INT8:
            raise ArtifactError("no interpreter")
        return known(path, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "load", partly)
    found = selftest(packed)
    assert [file.verdict for file in found.files] == [PASS, LEFT_OUT]
    assert found.verdict == PASS
    assert found.best == "classifier.float32.tflite"


def test_nothing_that_runs_is_no_pass() -> None:
    left = SelftestFile("a", LEFT_OUT, "no interpreter", None, None, None)
    assert Selftest("a", "x", (), (left,)).verdict == FAIL
    assert Selftest("a", "x", (), (left,)).best is None


def test_a_promise_is_read_as_it_was_written(packed: Path, tmp_path: Path) -> None:
    promise = Promise.load(packed / "promise.npz")
    promise.save(tmp_path / "again.npz")
    assert (tmp_path / "again.npz").read_bytes() == (packed / "promise.npz").read_bytes()
    for limits in promise.limits.values():
        assert limits.kernels == 2
        for output, limit in limits.limits.items():
            assert limit >= 4 * limits.moved[output]


@pytest.mark.parametrize("content", [b"", b"PK\x05\x06" + bytes(18), b"no archive"])
def test_a_damaged_promise(bundle: Path, content: bytes) -> None:
    (bundle / "promise.npz").write_bytes(content)
    listed_anew(bundle)
    with pytest.raises(DocumentError, match="its promise cannot be read"):
        selftest(bundle)


ARRAYS = hnp.arrays(np.float32, (5, 3), elements=st.floats(-100, 100, width=32))


@given(ARRAYS, st.floats(0.001, 10))
def test_errors_are_shares_of_the_spread(promised: np.ndarray, share: float) -> None:
    assert error_of(promised, promised) == 0
    known = promised.astype(np.float64)
    spread = np.sqrt(np.mean((known - known.mean(0)) ** 2))
    if spread > 1e-3:
        # Each value off by that share of it.
        assert error_of(known + share * spread, known) == pytest.approx(share, rel=1e-6)


@pytest.mark.parametrize(
    "answers", [np.ones((2, 4), np.float32), np.full((2, 3), np.nan), np.full((2, 3), np.inf)]
)
def test_other_shapes_and_no_numbers_are_beyond_any_limit(answers: np.ndarray) -> None:
    assert error_of(answers, np.arange(6.0).reshape(2, 3)) == float("inf")
