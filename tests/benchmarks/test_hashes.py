"""The comparison of exports before and after a change: what counts as the same, and what is excused."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from edgekit.formats.metadata import Metadata
from edgekit.formats.write_metadata import write_onnx, write_tflite

pytestmark = pytest.mark.processes

ROOT = Path(__file__).parents[2]
MODELS = ROOT / "tests" / "models"
# A brace stands in the block before the JSON does, for some lengths of it.
NOTES = [{"recipe": {"note": "x" * length}} for length in range(0, 400, 7)]


@pytest.fixture
def hashes(monkeypatch):
    """The package `hashes`, importable as it is for a benchmark that runs."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import hashes.bare
    import hashes.cells
    import hashes.comparing
    import hashes.work

    yield hashes
    for name in [name for name in sys.modules if name.split(".")[0] in ("hashes", "zoo")]:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("name", "write"),
    [("classifier.int8.tflite", write_tflite), ("classifier.float32.onnx", write_onnx)],
)
def test_files_that_differ_in_their_metadata_alone_are_the_same_without(hashes, name, write):
    content, format = (MODELS / name).read_bytes(), name.rpartition(".")[2]
    rest = {
        hashes.bare.split(write(content, replace(Metadata(), **note)), format)[0] for note in NOTES
    }
    assert len(rest) == 1
    assert len(rest.pop()) <= len(content)


@pytest.mark.parametrize(
    ("name", "write"),
    [("classifier.int8.tflite", write_tflite), ("classifier.float32.onnx", write_onnx)],
)
def test_metadata_come_out_as_they_went_in(hashes, name, write):
    content, format = (MODELS / name).read_bytes(), name.rpartition(".")[2]
    for note in NOTES:
        _, found = hashes.bare.split(write(content, replace(Metadata(), **note)), format)
        assert found["recipe"] == note["recipe"]


@pytest.mark.parametrize(
    ("name", "write"),
    [("classifier.int8.tflite", write_tflite), ("classifier.float32.onnx", write_onnx)],
)
def test_a_changed_weight_shows_without_the_metadata_too(hashes, name, write):
    content, format = bytearray((MODELS / name).read_bytes()), name.rpartition(".")[2]
    before, _ = hashes.bare.split(write(bytes(content), Metadata()), format)
    content[len(content) // 2] ^= 1
    after, _ = hashes.bare.split(write(bytes(content), Metadata()), format)
    assert before != after


def record(name: str = "demo/keras", failed: str | None = None, **files: tuple[str, str, str]):
    rows = {
        key: {
            "format": key.rpartition("_")[2],
            "scheme": key.partition("_")[0],
            "sha256": whole,
            "bare_sha256": bare,
            "metadata": {"recipe": {"word": word}},
        }
        for key, (whole, bare, word) in files.items()
    }
    found = {"name": name, "source": "m", "versions": {"onnx": "1"}, "files": rows, "skipped": []}
    return {**found, "failed": failed} if failed else found


SAME = ("1", "2", "old")
CASES = [
    ({"int8_tflite": SAME}, "same", ""),
    ({"int8_tflite": ("9", "2", "new")}, "only metadata differ", "metadata"),
    ({"int8_onnx": ("9", "9", "old")}, "int8 or dynamic ONNX differ", "onnx-int8"),
    ({"int8_tflite": ("9", "9", "old")}, "other differ", None),
    ({"float32_onnx": ("9", "9", "old")}, "other differ", None),
]


@pytest.mark.parametrize(("files", "title", "excuse"), CASES)
def test_each_file_is_counted_where_it_belongs_and_excused_by_its_own_word(
    hashes, capsys, files, title, excuse
):
    before = {"demo/keras": record(**dict.fromkeys(files, SAME))}
    after = {"demo/keras": record(**files)}
    compare, words = hashes.comparing.compare, hashes.comparing.EXCUSES
    assert compare(before, after, []) == int(excuse != "")
    assert f"     1 {title}" in capsys.readouterr().out
    assert compare(before, after, [excuse] if excuse else words) == int(excuse is None)
    if excuse:
        assert compare(before, after, {*words} - {excuse}) == 1


def test_a_file_that_is_gone_or_new_is_never_excused(hashes, capsys):
    with_it, without = {"a": record(int8_onnx=SAME)}, {"a": record()}
    for before, after, title in (
        (with_it, without, "made before and not now"),
        (without, with_it, "made now and not before"),
    ):
        assert hashes.comparing.compare(before, after, hashes.comparing.EXCUSES) == 1
        assert f"     1 {title}" in capsys.readouterr().out


def test_an_export_that_fails_otherwise_is_never_excused(hashes):
    refused = {"a": record(failed="ExportError: no file could be made")}
    reworded = {"a": record(failed="ExportError: nothing could be made")}
    crashed = {"a": record(failed="TypeError: no")}
    compare, words = hashes.comparing.compare, hashes.comparing.EXCUSES
    assert compare(refused, reworded, []) == 0
    assert compare(refused, crashed, words) == 1


def test_files_of_another_model_or_made_by_other_packages_are_not_compared(hashes):
    before = {"a": record(int8_tflite=SAME)}
    for other in ({"source": "n"}, {"versions": {"onnx": "2"}}):
        after = {"a": {**before["a"], **other}}
        assert hashes.comparing.compare(before, after, hashes.comparing.EXCUSES) == 1


def test_what_only_one_side_has_counts_unless_it_is_excused(hashes):
    both = {"a": record("a", int8_tflite=SAME)}
    more = {**both, "b": record("b", int8_tflite=SAME)}
    compare = hashes.comparing.compare
    assert compare(more, both, []) == compare(both, more, []) == 1
    assert compare(more, both, ["missing"]) == 0
    assert compare(more, {}, ["missing"]) == 1


def test_words_that_changed_are_told_with_their_place(hashes, capsys):
    before = {"a": record(int8_tflite=SAME)}
    after = {"a": record(int8_tflite=("9", "2", "new"))}
    hashes.comparing.compare(before, after, [])
    assert '1 recipe.word: "old" -> "new"' in capsys.readouterr().out


def test_a_prefix_of_the_corpus_has_of_each_large_kind(hashes):
    import zoo

    order = [entry.name for entry in hashes.cells.spread(zoo.ENTRIES)]
    assert sorted(order) == sorted(entry.name for entry in zoo.ENTRIES)
    kinds = [name.split("/")[0] for name in order]
    large = {kind for kind in kinds if kinds.count(kind) >= 8}
    assert large
    assert large <= {*kinds[: len(kinds) // 4]}


def test_an_export_that_failed_is_tried_again(hashes, tmp_path):
    path = tmp_path / "cell.json"
    assert not hashes.work.done(path)
    for failed, done in ((None, True), ("the process ended with -14", False)):
        path.write_text(json.dumps(record(failed=failed)), "utf-8")
        assert hashes.work.done(path) is done


def test_every_cell_has_a_file_of_its_own(hashes):
    cells = hashes.cells.cells()
    assert len({cell.path for cell in cells}) == len(cells)
    assert {cell.name.split("/")[0] for cell in cells} == {*hashes.cells.GROUPS}
