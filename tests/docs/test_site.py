"""The site of docs/: it builds strictly, whole, and asks no network for anything."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support import needs

# Sphinx takes seconds, even for a page.
pytestmark = pytest.mark.slow
needs.package("sphinx")
needs.package("myst_parser")
needs.package("furo")

DOCS = Path(__file__).parents[2] / "docs"


def build(source: Path, out: Path) -> subprocess.CompletedProcess[str]:
    """As `make docs` does."""
    words = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-c", str(DOCS)]
    words += ["-d", str(out / "doctrees"), str(source), str(out / "site")]
    return subprocess.run(words, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def site(once: Callable[..., Path]) -> Path:
    def make(folder: Path) -> None:
        done = build(DOCS, folder)
        assert done.returncode == 0, done.stderr

    return once("docs-site", make) / "site"


def test_every_page_is_there(site: Path) -> None:
    pages = {path.relative_to(DOCS).with_suffix(".html") for path in DOCS.rglob("*.md")}
    assert len(pages) > 50
    assert {page for page in pages if not (site / page).is_file()} == set()


def test_the_reference_is_of_the_code(site: Path) -> None:
    def text(page: str) -> str:
        return (site / "reference" / f"{page}.html").read_text("utf-8")

    assert "--max-accuracy-drop" in text("commands")
    assert "warmup_epochs" in text("recipes")
    assert "edgekit.tuning/1" in text("documents")
    assert "The accuracy drop" in text("python") or "min_sqnr_db" in text("python")


@pytest.mark.parametrize("page", ["recipes", "pipelines"])
def test_every_key_has_a_meaning(site: Path, page: str) -> None:
    rows = re.findall(
        r"<tr[^>]*>(.*?)</tr>", (site / "reference" / f"{page}.html").read_text("utf-8"), re.DOTALL
    )
    cells = [re.findall(r"<td>(.*?)</td>", row, re.DOTALL) for row in rows]
    keys = [row for row in cells if len(row) == 4]
    assert len(keys) > 20
    assert [row[0] for row in keys if not re.sub(r"<[^>]+>", "", row[3]).strip()] == []


def test_nothing_comes_from_a_network(site: Path) -> None:
    fetched = re.compile(r"""(?:\bsrc=|<link[^>]+href=|@import |url\()["']?(?:https?:)?//[^"')]+""")
    files = [*site.rglob("*.html"), *site.rglob("*.css")]
    found = {match for path in files for match in fetched.findall(path.read_text("utf-8"))}
    assert not found


@pytest.mark.parametrize("link", ["missing.md", "page.md#missing"])
def test_a_broken_link_is_an_error(tmp_path: Path, link: str) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "index.md").write_text(f"# Index\n\n[page](page.md), [a link]({link})\n")
    (source / "page.md").write_text("# Page\n\n## There\n")
    done = build(source, tmp_path)
    assert done.returncode != 0
    assert "missing" in done.stderr
    shutil.rmtree(source)
