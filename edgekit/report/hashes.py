"""Which documents belong together, by the hashes in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekit.errors import DocumentError


@dataclass(frozen=True)
class Document:
    """A document that has been read and validated.

    Attributes:
        label: what a report calls it.
    """

    path: Path
    kind: str
    content: dict[str, Any]
    label: str = ""

    @property
    def original(self) -> dict[str, Any] | None:
        """The entry of the original model; a benchmark does not say which file that is."""
        key = {"drift": "reference", "manifest": "source", "training": "model"}.get(self.kind)
        entry: dict[str, Any] | None = self.content[key] if key else None
        return entry

    @property
    def files(self) -> list[dict[str, Any]]:
        """The entries of model files, the original one apart."""
        if self.kind == "manifest":
            return list(self.content["files"])
        key = {"bench": "runs", "drift": "candidates"}.get(self.kind)
        return [row["artifact"] for row in self.content[key]] if key else []


def base_name(path: str) -> str:
    """The last part of a path written on any system."""
    return path.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]


def short(sha256: str) -> str:
    """Enough of a hash to tell it from another."""
    return f"{sha256[:12]}…"


def check_hashes(documents: Sequence[Document]) -> None:
    """Refuse documents that are not of one model and its files.

    Raises:
        DocumentError: they are of different original models or golden files, compare a file with
            another golden than it was exported for, give one file name two hashes, hold a file
            that neither the manifest nor, without one, a drift knows, or are of a model that is
            not on the tuning's front.
    """
    _one_original(documents)
    _from_the_front(documents)
    _one_golden(documents)
    _own_golden(documents)
    _one_hash_a_name(documents)
    _no_strangers(documents)


def _one_original(documents: Sequence[Document]) -> None:
    originals = [(doc, doc.original["sha256"]) for doc in documents if doc.original]
    for doc, sha256 in originals[1:]:
        first, expected = originals[0]
        if sha256 != expected:
            raise DocumentError(
                f"{first.path} and {doc.path} do not belong together: the {first.kind} document is "
                f"of an original model with sha256 {short(expected)}, the {doc.kind} document of "
                f"one with {short(sha256)}. Make both from the same model."
            )


def _from_the_front(documents: Sequence[Document]) -> None:
    for tuning in documents:
        if tuning.kind != "tuning":
            continue
        known = {row["model"]["sha256"] for row in front_of(tuning.content)}
        for doc in documents:
            if doc.original and doc.original["sha256"] not in known:
                raise DocumentError(
                    f"{doc.path} and {tuning.path} do not belong together: the {doc.kind} document is "
                    f"of an original model with sha256 {short(doc.original['sha256'])}, and the "
                    f"tuning's best models have {', '.join(map(short, sorted(known)))}. Give the "
                    "documents of a model that the tuning found."
                )


def front_of(tuning: dict[str, Any]) -> list[dict[str, Any]]:
    """The trials of a tuning document that are on its front and whose model is kept."""
    chosen = set(tuning["front"])
    return [row for row in tuning["trials"] if row["number"] in chosen and row["model"]]


def _one_golden(documents: Sequence[Document]) -> None:
    drifts = [
        doc
        for doc in documents
        # Null where the golden was never a file: nothing can be said of it.
        if doc.kind == "drift" and doc.content["reference"]["golden_sha256"] is not None
    ]
    for doc in drifts[1:]:
        expected = drifts[0].content["reference"]["golden_sha256"]
        received = doc.content["reference"]["golden_sha256"]
        if received != expected:
            raise DocumentError(
                f"{drifts[0].path} and {doc.path} do not belong together: they compare against "
                f"golden files with sha256 {short(expected)} and {short(received)}, so their "
                "accuracies are of different samples. Compare both with the same golden file."
            )


def _own_golden(documents: Sequence[Document]) -> None:
    named = {
        entry["sha256"]: (doc, entry)
        for doc in documents
        if doc.kind == "manifest"
        for entry in doc.files
        if entry.get("golden_sha256") is not None
    }
    for doc in documents:
        received = doc.content["reference"]["golden_sha256"] if doc.kind == "drift" else None
        for manifest, entry in [named[e["sha256"]] for e in doc.files if e["sha256"] in named]:
            if received not in (None, entry["golden_sha256"]):
                raise DocumentError(
                    f"{manifest.path} and {doc.path} do not belong together: "
                    f"{base_name(entry['path'])} was exported for the golden file with sha256 "
                    f"{short(entry['golden_sha256'])} and compared with {short(received)}. Compare "
                    "it with its own golden file."
                )


def _one_hash_a_name(documents: Sequence[Document]) -> None:
    seen: dict[str, tuple[Document, str]] = {}
    for doc, entry in _entries(documents):
        name, sha256 = base_name(entry["path"]), entry["sha256"]
        first, expected = seen.setdefault(name, (doc, sha256))
        if sha256 != expected:
            raise DocumentError(
                f"{first.path} and {doc.path} do not belong together: {name} has sha256 "
                f"{short(expected)} in the first and {short(sha256)} in the second. "
                "Measure the files anew that were exported anew."
            )


def _no_strangers(documents: Sequence[Document]) -> None:
    knowing = [doc for doc in documents if doc.kind == "manifest"]
    knowing = knowing or [doc for doc in documents if doc.kind == "drift"]
    if not knowing:
        return
    known = {entry["sha256"] for _, entry in _entries(knowing)}
    for doc in documents:
        for entry in doc.files:
            if entry["sha256"] not in known:
                of = knowing[0].original or {}
                raise DocumentError(
                    f"{doc.path} and {knowing[0].path} do not belong together: "
                    f"{base_name(entry['path'])} with sha256 {short(entry['sha256'])} is in the "
                    f"first, and the second, of the model with sha256 {short(of['sha256'])}, does "
                    "not know it. Give the documents of one export."
                )


def _entries(documents: Sequence[Document]) -> Iterator[tuple[Document, dict[str, Any]]]:
    for doc in documents:
        if doc.original:
            yield doc, doc.original
        for entry in doc.files:
            yield doc, entry
        if doc.kind == "tuning":
            for row in front_of(doc.content):
                for entry in (row["model"], *row["files"]):
                    yield doc, entry
