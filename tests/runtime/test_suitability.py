from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest

import edgekit
from edgekit.artifact import FORMATS
from edgekit.runtime import backends
from edgekit.runtime import suitability as module
from edgekit.runtime.host import DOT_PRODUCTS, INTERPRETERS, HostState
from edgekit.runtime.suitability import JUDGED, VERDICTS, suitability

LITERT = {"ai-edge-litert": "2.3.0"}
OLD = {"tflite-runtime": "2.14.0"}
ORT = {"onnxruntime": "1.32.0"}


def verdicts(
    machine: str, features: tuple[str, ...], interpreters: dict[str, str], cpu: str = "any"
) -> dict[str, dict[str, str]]:
    """By format and scheme, on such a machine."""
    bits = 32 if machine == "armv7l" else 64
    host = replace(
        HostState.read(),
        machine=machine,
        userland_bits=bits,
        cpu=cpu,
        cpu_features=features,
        interpreters=interpreters,
    )
    rows = suitability(host)
    assert Counter((row.format, row.scheme) for row in rows) == Counter(product(FORMATS, JUDGED))
    for row in rows:
        assert row.verdict in VERDICTS
        assert (row.backend is None) == (row.verdict == "no")
        assert 10 < len(row.reason) < 90
        assert "\n" not in row.reason
    return {f: {r.scheme: r.verdict for r in rows if r.format == f} for f in FORMATS}


@pytest.mark.parametrize(
    ("machine", "features", "interpreters", "expected"),
    [
        # float32, float16, dynamic, int8, int16x8; then those that store weights in few bits alone
        ("aarch64", ("asimd", "asimddp"), LITERT, "works works fast fast slow works works works"),
        ("aarch64", ("asimd",), LITERT, "works works works works slow works works works"),
        ("aarch64", ("asimd",), OLD, "works works slow slow slow works no no"),
        ("aarch64", ("asimd", "asimddp"), OLD, "works works works slow slow works no no"),
        ("armv7l", ("neon", "vfpv4"), OLD, "works works works works slow works no no"),
        ("x86_64", ("avx2", "avx512_vnni"), LITERT, "works works fast fast slow works works works"),
        ("x86_64", ("avx2", "avx512_vnni"), OLD, "works works slow slow slow works no no"),
        (
            "x86_64",
            ("avx2", "avx_vnni"),
            {"tensorflow": "2.21.0"},
            "works slow fast fast slow works works works",
        ),
        ("x86_64", ("avx2",), LITERT, "works works works works works works works works"),
        ("riscv64", (), LITERT, "works works works works works works works works"),
        ("aarch64", ("asimd",), {}, "no no no no no no no no"),
        ("aarch64", ("asimd",), ORT, "no no no no no no no no"),
    ],
)
def test_tflite_files(
    machine: str, features: tuple[str, ...], interpreters: dict[str, str], expected: str
) -> None:
    assert " ".join(verdicts(machine, features, interpreters)["tflite"].values()) == expected


def test_a_cortex_a53_has_kernels_of_its_own() -> None:
    # As a Pi 3 and a Zero 2 W: float32 costs so much there that tflite-runtime's int8 is no loss.
    old = verdicts("aarch64", ("asimd",), OLD, cpu="Cortex-A53")["tflite"]
    assert list(old.values())[:5] == ["works", "works", "works", "works", "slow"]
    assert verdicts("aarch64", ("asimd",), ORT, cpu="Cortex-A53")["onnx"]["int8"] == "works"


@pytest.mark.parametrize(
    ("machine", "features", "expected"),
    [
        ("aarch64", ("asimd", "asimddp"), "fast"),
        ("aarch64", ("asimd",), "works"),
        ("x86_64", ("avx512_vnni",), "fast"),
        ("x86_64", ("avx2",), "works"),
    ],
)
def test_onnx_files(machine: str, features: tuple[str, ...], expected: str) -> None:
    found = verdicts(machine, features, ORT)["onnx"]
    assert found == {
        "float32": "works",
        "float16": "works",
        "dynamic": "works",
        "int8": expected,
        **dict.fromkeys(("int16x8", "int8-weights", "int4-weights", "int4-blocks"), "no"),
    }


@pytest.mark.parametrize(("bits", "word"), [(32, "no wheels"), (64, "edgekit-keras[onnx]")])
def test_a_missing_onnxruntime_says_what_to_do(bits: int, word: str) -> None:
    host = replace(HostState.read(), userland_bits=bits, interpreters=LITERT)
    row = next(r for r in suitability(host) if (r.format, r.scheme) == ("onnx", "int8"))
    assert word in row.reason


def test_what_was_not_measured_is_not_claimed() -> None:
    host = replace(HostState.read(), machine="riscv64", cpu_features=(), interpreters=LITERT)
    for row in suitability(host):
        if row.format == "tflite" and row.scheme != "float32":
            assert "edgekit bench" in row.reason
            assert "of float32" not in row.reason


def test_the_backend_is_the_one_that_load_takes(models: Path) -> None:
    for format, rows in module._BACKENDS.items():
        # Those after them share a package with one of them, and are taken by name alone.
        found = [name for name, *_ in backends._BACKENDS[format]]
        assert [name for name, _ in rows] == found[: len(rows)]
        assert {package for _, package in rows} <= set(INTERPRETERS)
    rows_here = [r for r in suitability(HostState.read()) if r.format == "tflite"]
    # tflite-runtime has nothing that runs four bits.
    here = {r.backend for r in rows_here if r.backend or not r.scheme.startswith("int4")}
    with edgekit.load(models / "classifier.float32.tflite") as runner:
        assert here == {runner.backend.name}


def test_measured_costs_name_what_there_is() -> None:
    backends = {name for rows in module._BACKENDS.values() for name, _ in rows}
    for (backend, _), costs in module._COSTS.items():
        assert backend in backends
        assert set(costs) <= set(JUDGED)
        assert min(costs.values()) > 0


@pytest.mark.parametrize("feature", DOT_PRODUCTS)
def test_every_dot_product_counts(feature: str) -> None:
    machine = "x86_64" if feature.startswith("avx") else "aarch64"
    assert verdicts(machine, (feature,), LITERT)["tflite"]["int8"] == "fast"
