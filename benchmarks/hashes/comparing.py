"""The comparison of two folders of records: what is the same, what differs, and whether that is excused."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

# What may differ, by the word that excuses it.
EXCUSES = ("metadata", "onnx-int8", "missing")
_MEASURED = ("int8", "dynamic")
_LISTED = 200

Record = dict[str, Any]
# Title of a list to the words that excuse it; "" for what nothing excuses.
_TITLES = {
    "same": "same",
    "only metadata differ": "metadata",
    "int8 or dynamic ONNX differ": "onnx-int8",
    "other differ": "",
    "made before and not now": "",
    "made now and not before": "",
    "exports that failed otherwise": "",
    "made of another model, or with other packages": "",
    "cells in one folder only": "missing",
}


def read(folder: Path) -> dict[str, Record]:
    records = [json.loads(path.read_text("utf-8")) for path in sorted(folder.glob("*.json"))]
    return {record["name"]: record for record in records}


def compare(before: dict[str, Record], after: dict[str, Record], excused: Collection[str]) -> int:
    """Print what became of every file; 1 if something differs that is not excused."""
    lists: dict[str, list[str]] = {title: [] for title in _TITLES}
    for name in sorted({*before} ^ {*after}):
        lists["cells in one folder only"].append(name)
    both = sorted({*before} & {*after})
    for name in both:
        for title, file in _sorted_files(before[name], after[name]):
            lists[title].append(f"{name} {file}".rstrip())
    print(f"{len(before)} cells before, {len(after)} after, {len(both)} in both")
    for title, names in lists.items():
        note = " (excused)" if names and _TITLES[title] in excused else ""
        print(f"{len(names):6} {title}{note}")
    for title, names in lists.items():
        if names and title != "same":
            print(f"\n{title}:")
            print(*(f"  {name}" for name in names[:_LISTED]), sep="\n")
            if len(names) > _LISTED:
                print(f"  and {len(names) - _LISTED} more")
    pairs = [(before[name], after[name]) for name in both]
    _print_words(pairs)
    _print_kinds(pairs)
    if not both:
        print("\nnothing was compared")
        return 1
    allowed = {"same", *excused}
    return int(any(names and _TITLES[title] not in allowed for title, names in lists.items()))


def _sorted_files(old: Record, new: Record) -> Iterator[tuple[str, str]]:
    """Title and name of each file of one cell."""
    failures = [record.get("failed", "").partition(":")[0] for record in (old, new)]
    if failures[0] != failures[1]:
        yield "exports that failed otherwise", f"({old.get('failed')}; now {new.get('failed')})"
    for key in ("source", "versions"):
        if not any(failures) and _known(old[key]) != _known(new[key]):
            yield "made of another model, or with other packages", ""
            return
    for file in sorted({**old["files"], **new["files"]}):
        was, now = old["files"].get(file), new["files"].get(file)
        if was is None or now is None:
            yield ("made now and not before" if was is None else "made before and not now"), file
        elif was["sha256"] == now["sha256"]:
            yield "same", file
        elif was["bare_sha256"] == now["bare_sha256"]:
            yield "only metadata differ", file
        elif was["format"] == "onnx" and was["scheme"] in _MEASURED:
            yield "int8 or dynamic ONNX differ", file
        else:
            yield "other differ", file


def _known(value: Any) -> Any:
    """Versions without edgekit's own, which is the thing that differs."""
    if isinstance(value, dict):
        return {name: version for name, version in value.items() if "edgekit" not in name}
    return value


def _print_words(pairs: list[tuple[Record, Record]]) -> None:
    """Which parts of the metadata differ, how often, each with an example."""
    counts: Counter[str] = Counter()
    examples: dict[str, str] = {}
    for old, new in pairs:
        for file in {*old["files"]} & {*new["files"]}:
            was, now = old["files"][file]["metadata"], new["files"][file]["metadata"]
            for place, *values in _differences(was, now):
                counts[place] += 1
                examples.setdefault(place, " -> ".join(f"{json.dumps(v):.60}" for v in values))
    if counts:
        print("\nmetadata that differ, by place, with an example:")
    for place, count in counts.most_common(_LISTED):
        print(f"{count:6} {place}: {examples[place]}")


def _differences(was: Any, now: Any, place: str = "") -> Iterator[tuple[str, Any, Any]]:
    if isinstance(was, dict) and isinstance(now, dict):
        for key in sorted({*was, *now}):
            yield from _differences(was.get(key), now.get(key), f"{place}.{key}".lstrip("."))
    elif was != now:
        yield place, was, now


def _print_kinds(pairs: list[tuple[Record, Record]]) -> None:
    """Which kinds of reasons became others: a new name shows as one line with a large number."""
    counts: dict[tuple[str, str], int] = defaultdict(int)
    for old, new in pairs:
        kinds = [{(r["format"], r["scheme"]): r["kind"] for r in x["skipped"]} for x in (old, new)]
        for file in {*kinds[0]} & {*kinds[1]}:
            if kinds[0][file] != kinds[1][file]:
                counts[str(kinds[0][file]), str(kinds[1][file])] += 1
    if counts:
        print("\nskipped files whose kind of reason is another, which is no failure:")
    for (was, now), count in sorted(counts.items()):
        print(f"{count:6} {was} -> {now}")
