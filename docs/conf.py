"""Sphinx builds this folder into build/site (`make docs`), strictly and without network."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT)]

import reference  # noqa: E402

import edgekit  # noqa: E402

project = "edgekit"
version = release = edgekit.__version__
html_title = f"edgekit {version}"
html_theme = "furo"
html_copy_source = False
html_show_copyright = False

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["conf.py"]

# Links to a heading of a page, as `page.md#heading`, down to the third level.
myst_heading_anchors = 3
myst_enable_extensions = ["attrs_block"]
# Docstrings name code in single backticks.
default_role = "literal"
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}


def setup(app: object) -> None:
    app.connect("source-read", reference.fill)  # type: ignore[attr-defined]
