"""Produce: every file of a job, taken from the cache where it was made before, else made."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from time import perf_counter

from edgekit.cache import Cache
from edgekit.convert.finish import Result
from edgekit.convert.job import Job
from edgekit.convert.making import Search
from edgekit.convert.variant import Wanted
from edgekit.errors import ExportError
from edgekit.manifest import ExportedFile, Skipped
from edgekit.models.objects import unchanged
from edgekit.streams import Remark, loud, quiet

Progress = Callable[[str], None]


def produce(
    job: Job, folder: Path, *, verbose: bool = False, progress: Progress | None = None
) -> dict[Wanted, Result]:
    """Make the files of a job in `folder`.

    Args:
        job: what is to be made.
        folder: an empty one.
        verbose: let through what the libraries below write to stdout and stderr.
        progress: called with a line of text for each step.

    Returns:
        What became of each file, in the order in which they were requested.

    Raises:
        ExportError: nothing could be made.
        EdgekitError: as `edgekit.export`.
    """
    say = Speaker(progress)
    cache = job.cache
    keys = job.keys() if cache else {}
    results: dict[Wanted, Result] = {}
    for file, result in _taken(cache, keys, folder):
        results[file] = result
        say.of(file, result, "as made before")
    missing = [file for file in job.order.files if file not in results]
    start = perf_counter()
    with closing(made(job, missing, folder, verbose, say.line)) as files:
        for file, result in files:
            results[file] = result
            say.of(file, result, f"after {perf_counter() - start:.1f} s")
            if cache:
                content = (folder / file.name).read_bytes() if result.file else b""
                cache.put(keys[file], result.to_json(), content)
    _require_some(job, results)
    return {file: results[file] for file in job.order.files}


def made_of(results: Mapping[Wanted, Result]) -> tuple[ExportedFile, ...]:
    """The manifest's entries of the files that were made."""
    return tuple(result.file for result in results.values() if result.file)


def skipped_of(results: Mapping[Wanted, Result]) -> tuple[Skipped, ...]:
    """The manifest's entries of the files that were not."""
    return tuple(
        Skipped(file.format, file.scheme, result.reason)
        for file, result in results.items()
        if result.reason
    )


class Speaker:
    """Tells what becomes of each file. What is true of several is said of the first."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self._said: set[str] = set()

    def line(self, text: str) -> None:
        if self._progress is not None:
            with loud():
                self._progress(text)

    def of(self, file: Wanted, result: Result, when: str) -> None:
        if result.file is None:
            self.line(Remark(f"{file.name}: skipped, {result.reason}"))
            return
        self.line(f"{file.name}: {result.file.artifact.size_bytes / 1000:.1f} KB {when}")
        lines = [*result.file.recipe.get("fallbacks", ()), *result.file.warnings]
        for line in lines:
            if line not in self._said:
                self.line(Remark(f"{file.name}: {line}"))
        self._said.update(lines)


def _taken(
    cache: Cache | None, keys: Mapping[Wanted, str], folder: Path
) -> Iterator[tuple[Wanted, Result]]:
    """The files that the cache holds, copied to `folder`."""
    for file, key in keys.items():
        entry = cache.get(key) if cache else None
        if entry is None:
            continue
        about, content = entry
        result = Result.from_json(about)
        if result.file:
            (folder / file.name).write_bytes(content)
            artifact = result.file.artifact.recorded(file.name)
            result = replace(result, file=replace(result.file, artifact=artifact))
        yield file, result


def made(
    job: Job,
    files: Sequence[Wanted],
    folder: Path,
    verbose: bool,
    tell: Progress,
    search: Search | None = None,
) -> Generator[tuple[Wanted, Result], None, None]:
    """The files that have to be made, then those that `search` names, when each is done."""
    if not files:
        return
    with ExitStack() as stack:
        stack.enter_context(quiet(verbose))
        if job.order.source is not None:
            stack.enter_context(unchanged(job.order.source))
        yield from stack.enter_context(closing(job.run(files, folder, verbose, tell, search)))


def _require_some(job: Job, results: Mapping[Wanted, Result]) -> None:
    if made_of(results):
        return
    reasons = "; ".join(f"{row.format} {row.scheme}: {row.reason}" for row in skipped_of(results))
    raise ExportError(f"{job.order.origin.path}: no file could be made. {reasons}")
