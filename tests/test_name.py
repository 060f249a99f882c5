"""The distribution's name: `pip install edgekit` would install another project's package."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import edgekit
from edgekit.config import read_table
from edgekit.errors import DISTRIBUTION, pip_install

ROOT = Path(__file__).parents[1]
# The name of another project where an installer would take it for a requirement.
OTHER = re.compile(
    r"""(?:pip|pipx|uv|uvx|poetry|conda)[ ](?:[a-z]+[ ])*(?:-\S+[ ])*['"]?edgekit(?![\w-])"""
    r"""|['"`]edgekit(?:\[[a-z,]+\])?(?:[=<>~!]=?[0-9][^'"`]*)?['"`][ ]*is not installed"""
    r"""|\bedgekit\[[a-z]"""
)
TEXTS = [
    path
    for folder in ("edgekit", "docs", "examples", "scripts", "devices", "benchmarks", "tests", "")
    for pattern in ("*.py", "*.md", "*.toml", "*.sh", "*.html", "*.service", "Makefile", "*.json")
    for path in (ROOT / folder).glob(pattern if not folder else f"**/{pattern}")
    if path != Path(__file__)
]


def test_the_distribution_is_the_one_that_messages_name() -> None:
    project = read_table(ROOT / "pyproject.toml")["project"]
    assert project["name"] == DISTRIBUTION
    assert pip_install() == f"pip install {DISTRIBUTION}"
    assert pip_install("onnx") == f"pip install '{DISTRIBUTION}[onnx]'"


def test_the_version_stands_in_one_place() -> None:
    project = read_table(ROOT / "pyproject.toml")["project"]
    assert "version" not in project
    assert re.fullmatch(r"\d+\.\d+\.\d+", edgekit.__version__)


@pytest.mark.parametrize(
    "text",
    [
        "pip install edgekit",
        "pip install 'edgekit[onnx]'",
        "python -m pip install --upgrade edgekit",
        "uv pip install edgekit==1.0",
        "install edgekit[ray]",
    ],
)
def test_the_old_line_is_seen(text: str) -> None:
    assert OTHER.search(text)


@pytest.mark.parametrize(
    "text",
    [
        "pip install edgekit-keras",
        "pip install 'edgekit-keras[onnx]'",
        "pip install dist/edgekit_keras-0.1.0-py3-none-any.whl",
        "edgekit export model.keras",
    ],
)
def test_the_right_line_is_not(text: str) -> None:
    assert not OTHER.search(text)


def test_no_text_installs_another_project() -> None:
    assert len(TEXTS) > 300
    wrong = [
        f"{path.relative_to(ROOT)}: {found[0]}"
        for path in TEXTS
        if (found := OTHER.search(path.read_text("utf-8", "replace")))
    ]
    assert not wrong
