"""Manifest: all files of one export, and what was done to make them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from edgekit import document
from edgekit.artifact import Artifact
from edgekit.errors import DocumentError
from edgekit.tensor import TensorSpec

MANIFEST_NAME = "manifest.json"


@dataclass(frozen=True)
class ExportedFile:
    """A manifest's entry for one file.

    Attributes:
        artifact: the file.
        inputs, outputs: as the file itself declares them.
        recipe: what was done: scheme, calibration, optimisation.
        ops: how often each operator occurs, by the dtype it computes in.
        float_ops: operators left in float in a quantised file, each with the reason.
        warnings: what to know before the file is put to use.
        golden_sha256: of the golden file that the file names as its own; None if it names none.
        compressed_size_bytes: of the file packed by xz; None where that would take too long.
    """

    artifact: Artifact
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    recipe: dict[str, Any]
    ops: dict[str, dict[str, int]]
    float_ops: list[dict[str, str]]
    warnings: tuple[str, ...] = ()
    golden_sha256: str | None = None
    compressed_size_bytes: int | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            **self.artifact.to_json(),
            "path": self.artifact.name,
            "compressed_size_bytes": self.compressed_size_bytes,
            "inputs": [spec.to_json() for spec in self.inputs],
            "outputs": [spec.to_json() for spec in self.outputs],
            "recipe": self.recipe,
            "ops": self.ops,
            "float_ops": self.float_ops,
            "warnings": list(self.warnings),
            "golden_sha256": self.golden_sha256,
        }


@dataclass(frozen=True)
class Manifest:
    """The content of ``manifest.json``: every exported file of one source model in one folder.

    Attributes:
        source: ``{"path", "sha256", "format", "size_bytes", "flavour"}`` of the model exported.
        versions: package name to version, of what made the files.
        files: entries as `ExportedFile.to_json` gives them, sorted by file name.
        skipped: ``{"format", "scheme", "reason"}`` of what was asked for and not made.
    """

    source: dict[str, Any]
    versions: dict[str, str]
    files: list[dict[str, Any]] = field(default_factory=list)
    skipped: list[dict[str, Any]] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        return {
            "schema": document.tag("manifest"),
            "source": self.source,
            "versions": self.versions,
            "files": self.files,
            "skipped": self.skipped,
        }

    def merged_into(self, folder: Path, *, overwrite: bool = False) -> Manifest:
        """This manifest with the entries that `folder` has already and that this one does not replace.

        Args:
            folder: where the files go.
            overwrite: let this manifest take the place of one of another source model.

        Raises:
            DocumentError: the folder's manifest is unreadable, or of another source model.
        """
        path = folder / MANIFEST_NAME
        if not path.exists():
            return self
        try:
            old = json.loads(path.read_text("utf-8"))
            if old["schema"] != document.tag("manifest"):
                raise KeyError("schema")
            source, files = old["source"]["sha256"], list(old["files"])
            skipped = list(old["skipped"])
        except (ValueError, KeyError, TypeError) as error:
            raise DocumentError(
                f"{path}: not a manifest of edgekit's ({error!r}). Export to another folder."
            ) from error
        if source != self.source["sha256"] and overwrite:
            return self
        if source != self.source["sha256"]:
            raise DocumentError(
                f"{path}: is of a model with sha256 {source[:12]}…, this one has "
                f"{self.source['sha256'][:12]}…. Export to another folder, or give --overwrite."
            )
        names = {entry["path"] for entry in self.files}
        kept = [entry for entry in files if entry["path"] not in names]
        redone = {(entry["format"], entry["scheme"]) for entry in self.files + self.skipped}
        kept_skips = [row for row in skipped if (row["format"], row["scheme"]) not in redone]
        return replace(
            self,
            files=sorted(kept + self.files, key=lambda entry: entry["path"]),
            skipped=kept_skips + self.skipped,
        )
