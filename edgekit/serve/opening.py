"""Opening: model files and bundles, as models that are served."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from edgekit.artifact import HeldArtifact
from edgekit.bundle.archive import ENDING, opened_folder
from edgekit.bundle.contents import NAME
from edgekit.bundle.identity import IdentityLike
from edgekit.bundle.models import Models
from edgekit.bundle.verification import read_contents, verify_folder
from edgekit.errors import ArtifactError, BundleError, EdgekitError, UsageError
from edgekit.runtime.runner import Runner
from edgekit.serve.model import ServedModel

Open = Callable[[Path | HeldArtifact], Runner]


@contextmanager
def opened_models(
    paths: Sequence[str],
    open_file: Open,
    *,
    key: str | None = None,
    allow_unsigned: bool = False,
    workers: int = 1,
    queue: int = 256,
    identity: IdentityLike = None,
    tell: Callable[[str], None] = lambda _: None,
) -> Iterator[dict[str, ServedModel]]:
    """The models of files and bundles by name, open for as long as the block runs.

    A model is called as its file without the ending, or with it where two would be called the same. Of a
    bundle, files that nothing here runs are left out, which is told.

    Args:
        open_file: loads a file.
        key: as `verify_bundle` takes it.
        allow_unsigned: take bundles by their hashes alone.
        workers: interpreters a model; one for a file that keeps state.
        queue: calls a model that may wait.
        identity: what opens sealed bundles.

    Raises:
        UsageError: nothing is at a path, a bundle is sealed and there is no identity that opens it, or two files have one name.
        BundleError: a bundle is not as it was made, or not signed as asked.
        ArtifactError: a file cannot be run.
    """
    if workers < 1 or queue < 1:
        raise UsageError(f"workers and queue: received {workers} and {queue}, expected at least 1.")
    with ExitStack() as stack:
        sources: dict[Path, Path | HeldArtifact] = {}
        first: dict[Path, Runner] = {}
        files: list[Path] = []
        for path in map(Path, paths):
            if not (path.name.endswith(ENDING) or (path / NAME).is_file()):
                files.append(path)
                sources[path] = path
                first[path] = stack.enter_context(open_file(path))
                continue
            folder = stack.enter_context(opened_folder(path))
            opened = {}
            for file, source in _checked(folder, path, key, allow_unsigned, identity).items():
                sources[file] = source
                try:
                    opened[file] = stack.enter_context(open_file(source))
                # It is not the file: what was requested does not go together.
                except UsageError:
                    raise
                except EdgekitError as error:
                    tell(f"{path}: {file.name} is left out: {error}")
            if not opened:
                raise ArtifactError(f"{path}: nothing here runs a file of it.")
            files += opened
            first |= opened
        models: dict[str, ServedModel] = {}
        for name, path in named(files).items():
            runner, source = first[path], sources[path]
            count = 1 if runner._keeps_state() else workers
            runners = [runner, *(stack.enter_context(open_file(source)) for _ in range(count - 1))]
            models[name] = ServedModel(name, runners, queue)
            stack.callback(models[name].close)
        yield models


def _checked(
    folder: Path, path: Path, key: str | None, allow_unsigned: bool, identity: IdentityLike
) -> dict[Path, Path | HeldArtifact]:
    """What `edgekit.load` takes for each model file of a bundle, by the path that it has, or would have unsealed."""
    found = verify_folder(folder, path, key, allow_unsigned)
    if found.problems:
        hint = (
            "" if allow_unsigned or key else " Name the signer's --public-key, or --allow-unsigned."
        )
        raise BundleError(f"{path}: {'; '.join(found.problems)}.{hint}")
    models = Models(folder, read_contents(folder, path), path, identity)
    return {folder / name: models.source(name) for name in models.files}


def named(files: Sequence[Path]) -> dict[str, Path]:
    """Files by the names that they are served under.

    Raises:
        UsageError: two of them have one name, or one has none that an address can hold.
    """
    stems = Counter(path.stem for path in files)
    found: dict[str, Path] = {}
    for path in files:
        name = path.stem if stems[path.stem] == 1 else path.name
        if name in found:
            raise UsageError(f"{path}: is called as {found[name]}. Rename one of them.")
        if not name.isprintable() or not name.isascii():
            raise UsageError(f"{path}: its name has characters beyond ASCII. Rename it.")
        found[name] = path
    return found
