"""Self-test: whether this machine, with its interpreters, gives the answers that a bundle promises. No TensorFlow."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Annotated, ClassVar

from edgekit.bundle.archive import opened_folder
from edgekit.bundle.contents import PROMISE, Bundle
from edgekit.bundle.identity import IdentityLike
from edgekit.bundle.models import Models
from edgekit.bundle.promise import Promise, asked, error_of, given
from edgekit.bundle.verification import read_contents, verify_folder
from edgekit.document.record import Document, NotNegative, Record, Text
from edgekit.errors import DocumentError, EdgekitError
from edgekit.runtime import load
from edgekit.runtime.runner import Backend

PASS, FAIL, LEFT_OUT = "pass", "fail", "left out"
_TIMED = 5


@dataclass(frozen=True)
class SelftestFile(Record):
    """One model file on this machine.

    Attributes:
        path: in the bundle; of a sealed file that of what it holds.
        verdict: ``"pass"``; ``"fail"`` where it answers otherwise; ``"left out"`` where nothing here runs such files.
        reason: why it is not a pass; empty for one.
        backend: what ran it; None where nothing did.
        error: the largest of any output, as a share of its limit; None where it did not answer.
        infer_ms: the median of some inferences, a hint and no measurement; None likewise.
    """

    path: Text
    verdict: Annotated[str, ("enum", (PASS, FAIL, LEFT_OUT))]
    reason: str
    backend: Backend | None
    error: NotNegative | None
    infer_ms: NotNegative | None


@dataclass(frozen=True)
class Selftest(Document):
    """What became of a bundle's promise on one machine.

    Attributes:
        name: of the model.
        machine: its kind of processor, such as ``"aarch64"``.
        problems: what is not as it was made; then no file is run.
        files: each model file.
    """

    kind: ClassVar[str] = "selftest"
    computed: ClassVar[tuple[str, ...]] = ("verdict", "best")

    name: Text
    machine: str
    problems: tuple[str, ...]
    files: tuple[SelftestFile, ...]

    @property
    def in_words(self) -> str:
        files = ", ".join(f"{file.path} {file.verdict}" for file in self.files)
        said = "; ".join(self.problems) or files
        return f"self-test of {self.name} on {self.machine}: {self.verdict}: {said}"

    @property
    def verdict(self) -> str:
        """``"pass"`` where the files are as they were made, none answers otherwise, and one can be run."""
        verdicts = {file.verdict for file in self.files}
        return PASS if not self.problems and FAIL not in verdicts and PASS in verdicts else FAIL

    @property
    def best(self) -> str | None:
        """The path of the file that answers as promised and is the fastest here; None where none does."""
        passed = [file for file in self.files if file.verdict == PASS]
        return min(passed, key=lambda file: file.infer_ms or 0.0).path if passed else None


def selftest(
    path: str | os.PathLike[str],
    *,
    key: str | os.PathLike[str] | None = None,
    threads: int = 1,
    identity: IdentityLike = None,
) -> Selftest:
    """Run what a bundle promises, on this machine.

    Every model file is asked the raw samples in the bundle; what it answers is held against what it answered
    where the bundle was made, within limits that were measured there.

    Args:
        path: a bundle's folder or archive. It need not be trusted: files are tried in a sandboxed child first.
        key: as `verify_bundle` takes it; without one hashes are checked alone.
        threads: for one inference.
        identity: what opens a sealed bundle, as for `edgekit.load`.

    Raises:
        UsageError: nothing is there, the key is none, or it is sealed and there is no identity that opens it.
        DocumentError: it is no bundle, or promises nothing.
    """
    with opened_folder(path) as folder:
        found = verify_folder(folder, Path(path), key, allow_unsigned=key is None)
        contents = read_contents(folder, Path(path))
        if found.problems:
            return Selftest(contents.name, platform.machine(), found.problems, ())
        models = Models(folder, contents, path, identity)
        return tried(folder, contents, models, Path(path), threads)


def tried(folder: Path, contents: Bundle, models: Models, path: Path, threads: int) -> Selftest:
    """As `selftest`, of a bundle that lies verified in `folder` and is called `path`."""
    promise = _promise(folder, contents, path)
    files = [_tested(models, name, promise, threads) for name in models.files]
    return Selftest(contents.name, platform.machine(), (), tuple(files))


def _promise(folder: Path, contents: Bundle, path: Path) -> Promise:
    files = contents.of_role(PROMISE)
    if len(files) != 1:
        raise DocumentError(f"{path}: holds {len(files)} promises, expected one. Build it anew.")
    try:
        return Promise.load(folder / files[0].path)
    except DocumentError as error:
        raise DocumentError(f"{path}: {error} Build it anew.") from error


def _tested(models: Models, name: str, promise: Promise, threads: int) -> SelftestFile:
    if name not in promise.limits:
        return SelftestFile(name, FAIL, "nothing is promised of it", None, None, None)
    source = models.source(name)
    try:
        runner = load(source, threads=threads, verify=True)
    except EdgekitError as error:
        return SelftestFile(name, LEFT_OUT, str(error), None, None, None)
    with runner:
        try:
            answers = asked(runner, promise.inputs)
            one = {key: x[:1] for key, x in given(runner, promise.inputs).items()}
            times = []
            for _ in range(_TIMED):
                start = perf_counter()
                runner.infer_batch(one)
                times.append(1000 * (perf_counter() - start))
        except EdgekitError as error:
            return SelftestFile(name, FAIL, str(error), runner.backend, None, None)
        limits, promised = promise.limits[name].limits, promise.answers[name]
        missing = promised.keys() - answers.keys()
        if missing:
            reason = f"it has no output {', '.join(map(repr, sorted(missing)))}"
            return SelftestFile(name, FAIL, reason, runner.backend, None, None)
        shares = {key: error_of(answers[key], x) / limits[key] for key, x in promised.items()}
        worst = max(shares, key=lambda key: shares[key])
        reason = ""
        if shares[worst] > 1:
            reason = (
                f"output {worst!r} is off by {shares[worst] * limits[worst]:.3g} of its spread, and "
                f"{limits[worst]:.3g} is allowed: this interpreter does not answer as those where the bundle was made"
            )
        verdict = FAIL if reason else PASS
        largest = min(shares[worst], 1e300)
        return SelftestFile(name, verdict, reason, runner.backend, largest, median(times))
