"""The page at /, in Chromium: it shows models, and what they say of an image and of a sound."""

from __future__ import annotations

import base64
import io
import json
import threading
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import needs
from support.browser import Browser, chromium

import edgekit
from edgekit.preprocess.audio import FixedLength, LogMel
from edgekit.preprocess.chain import Preprocessing
from edgekit.serve.page import page, takes

# They start processes.
pytestmark = pytest.mark.processes

# Give the page a file, as the file dialog does, and wait for what it shows.
GIVE = """
(async () => {
  const bytes = Uint8Array.from(atob(%s), c => c.charCodeAt(0));
  const given = new DataTransfer();
  given.items.add(new File([bytes], %s, { type: %s }));
  const input = document.querySelector("#file");
  input.files = given.files;
  document.querySelector("#result").hidden = true;
  input.dispatchEvent(new Event("change"));
  while (document.querySelector("#result").hidden && !document.querySelector("#error").textContent)
    await new Promise(done => setTimeout(done, 20));
  const rows = [...document.querySelectorAll("#classes tr")];
  return {
    error: document.querySelector("#error").textContent,
    time: document.querySelector("#time").textContent,
    classes: rows.map(row => [...row.children].slice(0, 2).map(cell => cell.textContent)),
    numbers: document.querySelector("#numbers").textContent,
  };
})()
"""
CHOOSE = """
(async () => {
  while (!document.querySelector("#model").length && !document.querySelector("#error").textContent)
    await new Promise(done => setTimeout(done, 20));
  const select = document.querySelector("#model");
  select.value = %s;
  select.dispatchEvent(new Event("change"));
  return [...select.options].map(option => option.value);
})()
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture
def address(serving: Any, named: Path, sounding: Path, request: Any) -> Iterator[str]:
    """Of a server that wants the token that the test names, if it names one."""
    from edgekit.serve.server import listening, made_server

    token = getattr(request, "param", None)
    with (
        serving(str(named), str(sounding), token=token) as asked,
        listening("127.0.0.1", 0) as listener,
    ):
        server = made_server(asked.application, timeout=10.0)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        server.should_exit = True
        thread.join()


def given(browser: Browser, content: bytes, name: str, kind: str) -> Any:
    data = base64.b64encode(content).decode()
    return browser.run(GIVE % (json.dumps(data), json.dumps(name), json.dumps(kind)))


def test_an_image(browser: Browser, address: str, named: Path) -> None:
    Image: Any = needs.package("PIL.Image")
    x = np.random.default_rng(0).integers(0, 256, (12, 10), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(x).save(buffer, "PNG")
    with edgekit.load(named) as runner:
        wanted = runner.classify(x[None, :, :, None], top=5)

    browser.open(address, 390)
    assert browser.run(CHOOSE % '"named"') == ["named", "sounding"]
    shown = given(browser, buffer.getvalue(), "x.png", "image/png")
    assert shown["error"] == ""
    assert shown["classes"] == [[name, f"{score:.3f}"] for name, score in wanted]
    assert " ms" in shown["time"]
    shown = given(browser, b"no image", "x.png", "image/png")
    assert "could not be decoded" in shown["error"]
    # All that was asked for is of this server, and nothing of the page was refused.
    assert all(each.startswith((address, "data:", "blob:")) for each in browser.requests)
    assert browser.errors == []
    assert browser.run("document.documentElement.scrollWidth") <= 390


def test_a_sound(browser: Browser, address: str, sounding: Path) -> None:
    x = np.array([0, 8192, -16384, 4096, 32767, -32768, 0, 0], np.int16)
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(x.tobytes())
    with edgekit.load(sounding) as runner:
        wanted = runner.classify((x / 32768).astype(np.float32)[None], top=3)

    browser.open(address, 800)
    browser.run(CHOOSE % '"sounding"')
    shown = given(browser, buffer.getvalue(), "x.wav", "audio/wav")
    assert shown["error"] == ""
    assert [name for name, _ in shown["classes"]] == [name for name, _ in wanted]
    scores = [float(score) for _, score in shown["classes"]]
    np.testing.assert_allclose(scores, [score for _, score in wanted], atol=2e-3)


@pytest.mark.parametrize("address", ["secret"], indirect=True)
def test_a_token_is_asked_for(browser: Browser, address: str) -> None:
    browser.open(address, 800)
    browser.run(
        "(async () => { while (document.querySelector('#access').hidden) "
        "await new Promise(done => setTimeout(done, 20)); })()"
    )
    # What was said of the missing token stands there a moment later.
    browser.run("new Promise(done => setTimeout(done, 100))")
    browser.run(
        "document.querySelector('#token').value = 'secret'; document.querySelector('#error').textContent = '';"
        "document.querySelector('#enter').click()"
    )
    assert browser.run(CHOOSE % '"named"') == ["named", "sounding"]


def test_axe_finds_nothing(browser: Browser, address: str) -> None:
    source = Path(str(needs.package("axe_core_python").__file__)).parent / "axe.min.js"
    browser.open(address, 800)
    browser.run(CHOOSE % '"named"')
    browser.run(f"{source.read_text('utf-8')}; true")
    found = browser.run("axe.run().then(r => r.violations.map(v => v.id + ': ' + v.help))")
    assert found == []


def test_it_runs_its_own_script_alone() -> None:
    html, headers = page()
    rules = headers["Content-Security-Policy"]
    assert "default-src 'none'" in rules
    assert "script-src 'sha256-" in rules
    assert b"http:" not in html
    assert b"https:" not in html


class Known:
    """A runner, as far as `takes` looks."""

    def __init__(self, shape: tuple[int | None, ...], *steps: Any) -> None:
        from edgekit.formats.metadata import Metadata
        from edgekit.tensor import TensorSpec

        self.inputs = (TensorSpec("x", "float32", shape),)
        stored = {"x": Preprocessing(steps)} if steps else {}
        self.metadata = Metadata(preprocessing=stored)


def test_what_models_take() -> None:
    mel = LogMel(16000, 400, 160, fft_length=512, mel_bins=40)
    assert takes(Known((1, 98, 40), FixedLength(16000), mel)) == {  # type: ignore[arg-type]
        "takes": "sound",
        "sample_rate": 16000,
        "preprocess": True,
        "classes": False,
    }
    for shape in ((1, 3, 8, 8), (1, 8), (1, 8, 8, 2), ()):
        assert takes(Known(shape))["takes"] == "numbers"  # type: ignore[arg-type]
    found = takes(Known((None, None, None, 3)))  # type: ignore[arg-type]
    assert (found["takes"], found["channels"], "height" in found) == ("image", 3, False)
