"""'edgekit export' with a budget: wrong words end before any work. Nothing here needs TensorFlow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

Fails = Callable[..., str]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A file that is there; nothing gets as far as to read it."""
    path = tmp_path / "model.keras"
    path.write_bytes(b"PK")
    return path


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--minimise", "size"), "budget: received no limit, expected one"),
        (("--minimise", "speed"), "--minimise: received 'speed', expected one of size"),
        (("--samples", "samples.npz"), "received some to search with, and no budget"),
        (("--max-accuracy-drop", "1"), "did you mean 1%"),
        (("--max-accuracy-drop", "1%", "--quantize", "int8"), "Leave out --quantize and --file"),
        (("--max-accuracy-drop", "1%", "--file", "int8.tflite"), "Leave out --quantize and --file"),
        (("--max-accuracy-drop", "1%", "--integer-only"), "integer_only, which leaves nothing"),
        (("--limit", "sqnr_db>=30", "--qat", "--data", "d.npz"), "qat, which leaves nothing"),
        (("--limit", "p50_ms<=1"), "received a limit of 'p50_ms'"),
        (("--limit", "peak_rss_bytes<=1e6"), "received a limit of 'peak_rss_bytes'"),
        (("--budget", "no.toml"), "no.toml"),
    ],
)
def test_wrong_words(
    fails: Fails, model: Path, tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    assert message in fails(2, "export", model, "-o", tmp_path / "out", *words)
    assert not (tmp_path / "out").exists()


def test_a_recipe_that_minimises_without_a_budget(
    fails: Fails, model: Path, tmp_path: Path
) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text('[export]\nminimise = "size"\n')
    said = fails(2, "export", model, "-o", tmp_path / "out", "--recipe", recipe)
    assert "budget: received no limit" in said


def test_a_recipe_with_a_wrong_limit(fails: Fails, model: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text('[export]\nminimise = "size"\n[budget]\nlimits = ["speed <= 3"]\n')
    said = fails(2, "export", model, "-o", tmp_path / "out", "--recipe", recipe)
    assert "'speed'" in said
