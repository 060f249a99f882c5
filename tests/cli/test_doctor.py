"""`edgekit doctor`: what it tells about this machine, and about boards it could run on."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
from support import needs

from edgekit import document
from edgekit.artifact import FORMATS
from edgekit.cli import doctor, main
from edgekit.cli.doctor import _advice, _rows
from edgekit.runtime import linux
from edgekit.runtime.attempts import Attempt
from edgekit.runtime.host import HostState
from edgekit.runtime.suitability import JUDGED, VERDICTS


@pytest.fixture
def pi() -> HostState:
    """A 32-bit userland on a 64-bit kernel, in a container, with a weak power supply."""
    return replace(
        HostState.read(),
        device="raspberry-pi-4b",
        machine="armv7l",
        userland_bits=32,
        kernel_machine="aarch64",
        system="Linux 6.6.31",
        cpu="Cortex-A72",
        cores=4,
        cpu_features=("asimd",),
        governors=("ondemand",) * 4,
        temperature_c=61.8,
        throttled=False,
        throttled_since_boot=("under-voltage", "throttled"),
        memory_available_bytes=400_000_000,
        memory_limit_bytes=512_000_000,
        python="3.11.2",
        interpreters={"tflite-runtime": "2.14.0"},
    )


def test_json_and_text_tell_every_scheme(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--json", str(tmp_path / "host.json")]) == 0
    content = json.loads((tmp_path / "host.json").read_text("utf-8"))
    rows = content["schemes"]
    assert [(r["format"], r["scheme"]) for r in rows] == list(product(FORMATS, JUDGED))
    assert {r["verdict"] for r in rows} <= set(VERDICTS)
    text = capfd.readouterr().err
    for row in rows:
        line = next(x for x in text.splitlines() if x.split()[:2] == [row["format"], row["scheme"]])
        assert line.split()[2] == row["verdict"]
        assert line.endswith(row["reason"])
    assert max(map(len, text.splitlines())) <= 100


def test_the_document_fits_its_schema(tmp_path: Path) -> None:
    jsonschema = needs.package("jsonschema")
    path = tmp_path / "host.json"
    assert main(["doctor", "--json", str(path)]) == 0
    assert document.load(path).kind == "host"
    content = json.loads(path.read_text("utf-8"))
    validator = jsonschema.Draft202012Validator(document.json_schema("host"))
    # Documents of earlier versions have no schemes.
    assert validator.is_valid({k: v for k, v in content.items() if k != "schemes"})
    for key, wrong in (
        ("verdict", "perhaps"),
        ("scheme", "int4"),
        ("backend", 1),
        ("reason", None),
    ):
        bad = [{**content["schemes"][0], key: wrong}]
        assert not validator.is_valid({**content, "schemes": bad})


def test_a_board_s_rows(pi: HostState) -> None:
    assert _rows(pi) == {
        "device": "raspberry-pi-4b",
        "userland": "armv7l (32 bit), Linux 6.6.31 on aarch64",
        "CPU": "Cortex-A72, 4 cores",
        "CPU features": "asimd",
        "governor": "ondemand",
        "temperature": "62 °C",
        "throttled": "no; since the board started: under-voltage, throttled",
        "memory free": "400 MB, limited to 512 MB by its control group",
        "Python": "3.11.2",
        "interpreters": "tflite-runtime 2.14.0",
    }


def test_advice_fits_the_userland(pi: HostState) -> None:
    assert _advice(pi) == [
        "the CPU has no 8-bit dot products: int8 gains less than it does elsewhere"
    ]
    wide = replace(pi, userland_bits=64, machine="aarch64", cpu_features=("asimd", "asimddp"))
    assert [line.rsplit("pip install ")[-1] for line in _advice(wide)] == [
        "ai-edge-litert",
        "'edgekit-keras[onnx]'",
    ]
    assert "pip install edgekit-keras" in _advice(replace(pi, interpreters={}))[0]
    # There is nothing to install with musl.
    (musl, *_) = _advice(replace(pi, interpreters={}), (), "musl")
    assert musl.startswith("the C library is musl")
    assert "pip" not in musl


def test_an_interpreter_that_dies_is_a_line_and_advice(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    died = Attempt("litert-compiled", "fails", "died by SIGILL: its code needs instructions")
    # It runs other files.
    onnx = Attempt("onnxruntime", "works", "")
    tried = (Attempt("litert", "works", ""), died, onnx)
    monkeypatch.setattr(doctor, "attempts", lambda: (tried, None))
    monkeypatch.setattr(linux, "page_size_bytes", lambda: 16_384)
    monkeypatch.setattr(linux, "libc", lambda: "glibc 2.41")
    assert main(["doctor"]) == 0
    lines = capfd.readouterr().err.splitlines()
    (line,) = [line for line in lines if line.startswith("tried") and "fails" in line]
    assert (
        line == "tried          litert-compiled: fails: died by SIGILL: its code needs instructions"
    )
    assert "tried          litert: works" in lines
    assert "page size      16 KiB" in lines
    assert "advice: litert-compiled cannot be used here; take litert (--backend)" in lines


def test_none_that_works(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    died = Attempt("litert", "fails", "died by SIGILL")
    good = Attempt("onnxruntime", "works", "")
    monkeypatch.setattr(doctor, "attempts", lambda: ((died, good), False))
    assert main(["doctor", "--json", "-"]) == 1
    assert json.loads(capfd.readouterr().out)["attempts"][0]["reason"] == "died by SIGILL"
