"""Which documents belong together, by the hashes in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from edgekit.artifact import Artifact
from edgekit.document.record import Document
from edgekit.document.training import TrainedModel, Training
from edgekit.document.tuning import Trial, Tuning
from edgekit.drift.drift import Drift
from edgekit.drift.ledger import Ledger
from edgekit.drift.reference import Reference
from edgekit.errors import DocumentError
from edgekit.inspection.inspection import Inspection
from edgekit.manifest import Manifest, Source
from edgekit.runtime.bench import Bench
from edgekit.runtime.instructions import Instructions
from edgekit.scoring.evaluation import Evaluation

D = TypeVar("D", bound=Document)

# What a document says of the original model.
Original = Source | Reference | TrainedModel


@dataclass(frozen=True)
class Read:
    """A document that has been read.

    Attributes:
        label: what a report calls it.
    """

    path: Path
    document: Document
    label: str = ""

    @property
    def kind(self) -> str:
        return self.document.kind

    @property
    def original(self) -> Original | None:
        """The original model; a benchmark does not say which file that is."""
        document = self.document
        if isinstance(document, (Drift, Ledger)):
            return document.reference
        if isinstance(document, Manifest):
            return document.source
        return document.model if isinstance(document, Training) else None

    @property
    def files(self) -> list[Artifact]:
        """Model files, which may include the original one."""
        document = self.document
        if isinstance(document, Bench):
            return [run.artifact for run in document.runs]
        if isinstance(document, Drift):
            return [candidate.artifact for candidate in document.candidates]
        if isinstance(document, Ledger):
            return list(document.files)
        if isinstance(document, Instructions):
            return [each.artifact for each in document.files]
        if isinstance(document, Manifest):
            return [file.artifact for file in document.files]
        return [document.artifact] if isinstance(document, (Evaluation, Inspection)) else []


def of_kind(documents: Sequence[Read], cls: type[D]) -> list[tuple[Read, D]]:
    """Those that are of a class, each with the document itself."""
    return [(read, read.document) for read in documents if isinstance(read.document, cls)]


def base_name(path: str) -> str:
    """The last part of a path written on any system."""
    return path.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]


def short(sha256: str) -> str:
    """Enough of a hash to tell it from another."""
    return f"{sha256[:12]}…"


def check_hashes(documents: Sequence[Read]) -> None:
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


def _one_original(documents: Sequence[Read]) -> None:
    originals = [(read, read.original.sha256) for read in documents if read.original]
    for read, sha256 in originals[1:]:
        first, expected = originals[0]
        if sha256 != expected:
            raise DocumentError(
                f"{first.path} and {read.path} do not belong together: the {first.kind} document is "
                f"of an original model with sha256 {short(expected)}, the {read.kind} document of "
                f"one with {short(sha256)}. Make both from the same model."
            )


def _from_the_front(documents: Sequence[Read]) -> None:
    for at, tuning in of_kind(documents, Tuning):
        known = {model.sha256 for _, model in kept_models(tuning)}
        for read in documents:
            if read.original and read.original.sha256 not in known:
                raise DocumentError(
                    f"{read.path} and {at.path} do not belong together: the {read.kind} document is "
                    f"of an original model with sha256 {short(read.original.sha256)}, and the "
                    f"tuning's best models have {', '.join(map(short, sorted(known)))}. Give the "
                    "documents of a model that the tuning found."
                )


def kept_models(tuning: Tuning) -> list[tuple[Trial, TrainedModel]]:
    """The trials on the front whose model is kept, each with it."""
    return [(trial, trial.model) for trial in tuning.best if trial.model]


def _one_golden(documents: Sequence[Read]) -> None:
    drifts = [
        (read, read.document.reference.golden_sha256)
        for read in documents
        # None where the golden was never a file: nothing can be said of it.
        if isinstance(read.document, (Drift, Ledger))
        and read.document.reference.golden_sha256 is not None
    ]
    for read, received in drifts[1:]:
        first, expected = drifts[0]
        if received != expected:
            raise DocumentError(
                f"{first.path} and {read.path} do not belong together: they compare against "
                f"golden files with sha256 {short(expected)} and {short(received)}, so their "
                "accuracies are of different samples. Compare both with the same golden file."
            )


def _own_golden(documents: Sequence[Read]) -> None:
    named = {
        file.artifact.sha256: (read, file.artifact, file.golden_sha256)
        for read, manifest in of_kind(documents, Manifest)
        for file in manifest.files
        if file.golden_sha256 is not None
    }
    for read, drift in of_kind(documents, Drift):
        received = drift.reference.golden_sha256
        for manifest, artifact, own in [
            named[file.sha256] for file in read.files if file.sha256 in named
        ]:
            if received not in (None, own):
                raise DocumentError(
                    f"{manifest.path} and {read.path} do not belong together: "
                    f"{base_name(artifact.file)} was exported for the golden file with sha256 "
                    f"{short(own)} and compared with {short(received)}. Compare "
                    "it with its own golden file."
                )


def _one_hash_a_name(documents: Sequence[Read]) -> None:
    seen: dict[str, tuple[Read, str]] = {}
    for read, path, sha256 in _entries(documents):
        name = base_name(path)
        first, expected = seen.setdefault(name, (read, sha256))
        if sha256 != expected:
            raise DocumentError(
                f"{first.path} and {read.path} do not belong together: {name} has sha256 "
                f"{short(expected)} in the first and {short(sha256)} in the second. "
                "Measure the files anew that were exported anew."
            )


def _no_strangers(documents: Sequence[Read]) -> None:
    knowing = [read for read, _ in of_kind(documents, Manifest)]
    knowing = knowing or [read for read, _ in of_kind(documents, Drift)]
    knowing = knowing or [read for read, _ in of_kind(documents, Ledger)]
    if not knowing:
        return
    known = {sha256 for _, _, sha256 in _entries(knowing)}
    original = knowing[0].original
    assert original is not None, "a manifest and a drift name one"
    for read in documents:
        for file in read.files:
            if file.sha256 not in known:
                raise DocumentError(
                    f"{read.path} and {knowing[0].path} do not belong together: "
                    f"{base_name(file.file)} with sha256 {short(file.sha256)} is in the "
                    f"first, and the second, of the model with sha256 {short(original.sha256)}, does "
                    "not know it. Give the documents of one export."
                )


def _entries(documents: Sequence[Read]) -> Iterator[tuple[Read, str, str]]:
    """Path and hash of every model file that a document names."""
    for read in documents:
        if read.original:
            yield read, read.original.path, read.original.sha256
        for file in read.files:
            yield read, file.file, file.sha256
        if isinstance(read.document, Tuning):
            for trial, model in kept_models(read.document):
                yield read, model.path, model.sha256
                for file in trial.files:
                    yield read, file.file, file.sha256
