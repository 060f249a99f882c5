"""ExportResult: what an export made, what it left out, and what it warned of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

from edgekit.artifact import Artifact
from edgekit.errors import UsageError
from edgekit.manifest import Manifest, Skipped


@dataclass(frozen=True)
class ExportResult(Sequence[Artifact]):
    """What an export came to: a sequence of its files, in the order in which they were requested.

    Attributes:
        files: those made, or taken from the cache.
        skipped: those that could not be made, with reasons.
        warnings: what to know before a file is put to use, each with the file's name in front.
        manifest: what ``manifest.json`` in the folder holds now; earlier exports' files included.
    """

    files: tuple[Artifact, ...]
    skipped: tuple[Skipped, ...]
    warnings: tuple[str, ...]
    manifest: Manifest

    def path(self, scheme: str, format: str) -> Path:
        """Where the file of that scheme and format is.

        Raises:
            UsageError: it was not requested, or skipped; says which files there are.
        """
        for file in self.files:
            if (file.scheme, file.format) == (scheme, format):
                return file.path
        reasons = [s.reason for s in self.skipped if (s.scheme, s.format) == (scheme, format)]
        why = f": {reasons[0]}" if reasons else ""
        raise UsageError(
            f"export: received {scheme} {format}, which was not made{why}. Expected one of "
            f"{', '.join(file.name for file in self.files)}."
        )

    def __len__(self) -> int:
        return len(self.files)

    @overload
    def __getitem__(self, index: int) -> Artifact: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Artifact, ...]: ...

    def __getitem__(self, index: int | slice) -> Artifact | tuple[Artifact, ...]:
        return self.files[index]
