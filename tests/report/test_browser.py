"""The page in Chromium: on a desk, on a phone, in the dark and on paper.

axe-core (https://github.com/dequelabs/axe-core) computes contrast and checks names, roles and headings.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.browser import Browser, chromium
from support.needs import package

from edgekit.report import write_report

# They start processes.
pytestmark = pytest.mark.processes

Documents = dict[str, dict[str, Any]]
Write = Callable[[Documents], list[Path]]

# Width in CSS pixels, dark, medium. A sheet of A4 between its margins is 184 mm, 695 px.
VIEWS = {
    "desk": (1400, False, "screen"),
    "phone": (390, False, "screen"),
    "dark": (1400, True, "screen"),
    "dark phone": (390, True, "screen"),
    "paper": (695, False, "print"),
    "dark paper": (695, True, "print"),
}

# Elements that reach beyond the page's right or left edge, but for what only screen readers find.
BEYOND = """
[...document.querySelectorAll("main *")].filter(e => {
  const box = e.getBoundingClientRect();
  return box.width > 1 && (box.right > innerWidth + 1 || box.left < -1);
}).map(e => e.outerHTML.slice(0, 120))
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture
def page(every: Documents, write: Write, tmp_path: Path) -> Path:
    """A report of every kind of document."""
    output = tmp_path / "report.html"
    write_report(write(every), output)
    return output


@pytest.fixture
def rules() -> str:
    """axe-core's source."""
    folder = Path(str(package("axe_core_python").__file__)).parent
    return (folder / "axe.min.js").read_text("utf-8")


@pytest.mark.parametrize("view", VIEWS)
def test_the_page_stands(page: Path, browser: Browser, view: str) -> None:
    width, dark, media = VIEWS[view]
    browser.open(page, width, dark=dark, media=media)
    assert browser.errors == []
    assert [url for url in browser.requests if not url.startswith("data:")] == [page.as_uri()]
    assert browser.run("document.documentElement.scrollWidth") <= width
    assert browser.run(BEYOND) == []


@pytest.mark.parametrize("view", ["desk", "phone", "paper"])
def test_long_names_keep_the_page_in_its_width(
    every: Documents, write: Write, tmp_path: Path, browser: Browser, view: str
) -> None:
    text = json.dumps(every).replace("kws.", "a_model_with_a_name_that_nobody_would_type_twice.")
    write_report(write(json.loads(text)), tmp_path / "report.html")
    width, dark, media = VIEWS[view]
    browser.open(tmp_path / "report.html", width, dark=dark, media=media)
    assert browser.run("document.documentElement.scrollWidth") <= width
    assert browser.run(BEYOND) == []


@pytest.mark.parametrize("view", ["desk", "phone", "dark", "paper"])
def test_axe_finds_nothing(page: Path, browser: Browser, rules: str, view: str) -> None:
    width, dark, media = VIEWS[view]
    browser.open(page, width, dark=dark, media=media)
    browser.run("document.querySelectorAll('details').forEach(e => e.open = true)")
    browser.run(f"{rules}; true")
    found = browser.run(
        "axe.run().then(r => r.violations.map(v => [v.id, v.nodes.map(n => n.html.slice(0, 200))]))"
    )
    assert found == []
    # It has looked: a text too faint is found.
    browser.run("document.querySelector('h1').style.color = 'rgba(128, 128, 128, 0.3)'")
    again = browser.run("axe.run({runOnly: ['color-contrast']}).then(r => r.violations.length)")
    assert again == 1


def test_paper_is_light_whatever_the_screen_is(page: Path, browser: Browser) -> None:
    colour = "getComputedStyle(document.body).backgroundColor"
    browser.open(page, 1400, dark=True)
    dark = browser.run(colour)
    browser.open(page, 695, dark=True, media="print")
    assert browser.run(colour) == "rgb(255, 255, 255)" != dark


def test_charts_are_drawn(page: Path, browser: Browser) -> None:
    for width in (1400, 390):
        browser.open(page, width)
        sizes = browser.run(
            "[...document.querySelectorAll('figure svg[role=img]')].map(e => {"
            "const b = e.getBoundingClientRect(); return [b.width, b.height]})"
        )
        assert len(sizes) >= 8
        assert all(w > 150 and h >= 10 for w, h in sizes)
        # Every file has a dot and a letter in the picture of its costs, clear of one another.
        letters = browser.run(
            "[...document.querySelectorAll('#tradeoff figure:first-child .letter-ground')].map(e => {"
            "const b = e.getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2]})"
        )
        assert len(letters) == 3
        for at, (x, y) in enumerate(letters):
            for other_x, other_y in letters[at + 1 :]:
                assert (x - other_x) ** 2 + (y - other_y) ** 2 >= 20**2


def test_the_verdict_is_seen_first_on_a_phone_and_on_paper(page: Path, browser: Browser) -> None:
    for width, media in ((390, "screen"), (695, "print")):
        browser.open(page, width, media=media)
        banner = browser.run("document.querySelector('.banner').getBoundingClientRect().bottom")
        assert banner < 844
        cells = browser.run(
            "[...document.querySelectorAll('#files .verdict')].map(e => {"
            "const b = e.getBoundingClientRect(); return [b.left, b.right, e.textContent]})"
        )
        assert [text for _, _, text in cells] == ["✓ Within budget", "✓ Within budget", "✕ Failed"]
        assert all(0 <= left < right <= width for left, right, _ in cells)


def test_paper_shows_what_the_screen_folds_away(page: Path, browser: Browser) -> None:
    height = "document.querySelector('#details .inside').getBoundingClientRect().height"
    browser.open(page, 1400)
    assert browser.run("document.querySelector('#details details').open") is False
    browser.open(page, 695, media="print")
    assert browser.run(height) > 100
    assert browser.printed().startswith(b"%PDF-")


def test_keys_alone_reach_all_of_it(page: Path, browser: Browser) -> None:
    browser.open(page, 1400)
    count = browser.run("document.querySelectorAll('a, summary').length")
    seen = []
    for _ in range(count):
        browser.press("Tab", 9)
        seen.append(
            browser.run(
                "(e => [e.tagName, getComputedStyle(e).outlineStyle])(document.activeElement)"
            )
        )
    assert {tag for tag, _ in seen} == {"A", "SUMMARY"}
    assert {style for _, style in seen} == {"solid"}
    # The last one folds, and unfolds by a key.
    before = browser.run("document.activeElement.parentElement.open")
    browser.press("Enter", 13)
    assert browser.run("document.activeElement.parentElement.open") is not before


def test_a_script_in_a_document_does_not_run(
    every: Documents, write: Write, tmp_path: Path, browser: Browser
) -> None:
    evil = "\"><script>console.log('x')</script><img src=x onerror=console.log(1)>'`{{7*7}}"
    text = json.dumps(every["drift"]).replace("It is above.", evil.replace('"', '\\"'))
    every["drift"] = json.loads(text)
    write_report(write(every), tmp_path / "report.html")
    browser.open(tmp_path / "report.html", 1400)
    assert browser.errors == []
    assert browser.run("document.querySelectorAll('script, img').length") == 0
    assert evil in browser.run("document.body.textContent")
