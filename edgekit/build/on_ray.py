"""On a Ray cluster: the work of steps on several machines, which share the folders that a build reads and writes."""

from __future__ import annotations

import os
import pickle
import platform
import secrets
import warnings
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekit.build.hands import Finished, Here, Make
from edgekit.build.plan import versions
from edgekit.build.processes import MADE, answer, relayed
from edgekit.errors import ClusterError, one_line
from edgekit.ray_cluster import connected

# How often Ray does a work again whose machine is lost.
_RETRIES = 2
_POLL_S = 0.2


class OnRay:
    """Up to so many steps at a time, each on one CPU of a cluster; what measures time is done by this process.

    A step whose machine is lost is done again on another. A machine that does not see the folder, or has other
    versions than this one, would make other files: it ends the build.

    Args:
        count: of steps at a time, at least 1.
        folder: to build in; every machine has to see it, and what the build reads, under the same path.
        address: of the cluster; None for one on this machine.
        limit_bytes: what packed files may unpack to there; the default if None.

    Raises:
        MissingDependencyError: Ray is not installed (when the block begins).
        ClusterError: the cluster cannot be reached (likewise).
    """

    several = True

    def __init__(
        self, count: int, folder: Path, address: str | None, limit_bytes: int | None = None
    ) -> None:
        self._count, self._folder, self._address = count, folder.resolve(), address
        self._limit = limit_bytes
        self._here = Here()
        self._tasks: dict[Any, str] = {}
        self._stack = ExitStack()

    def __enter__(self) -> OnRay:
        with ExitStack() as stack:
            self._ray = stack.enter_context(connected(self._address, "Building on a cluster"))
            stack.callback(self._give_up)
            # What a machine finds only where it sees this folder.
            token = self._folder / f".edgekit-{secrets.token_hex(8)}"
            token.touch()
            stack.callback(token.unlink, missing_ok=True)
            self._place = Place(str(token), str(Path.cwd()), versions())
            # On this machine: it must not be lost with another one.
            here = self._ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
                self._ray.get_runtime_context().get_node_id(), soft=False
            )
            mailbox = self._ray.remote(num_cpus=0, scheduling_strategy=here)(Mailbox)
            self._mailbox = mailbox.remote()
            quiet = {"env_vars": {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_DETERMINISTIC_OPS": "1"}}
            self._work = self._ray.remote(num_cpus=1, max_retries=_RETRIES, runtime_env=quiet)(work)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def free(self) -> bool:
        return self._here.free and len(self._tasks) < self._count

    def take(self, name: str, make: Make, here: bool = False) -> None:
        if here:
            self._here.take(name, make)
            return
        content = pickle.dumps((make, self._limit))
        self._tasks[self._work.remote(content, name, self._place, self._mailbox)] = name

    def finished(self, heard: Any) -> Finished:
        if not self._here.free:
            return self._here.finished(heard)
        while True:
            ended, _ = self._ray.wait(list(self._tasks), timeout=_POLL_S)
            for name, line in self._ray.get(self._mailbox.take.remote()):
                heard(name, line)
            if ended:
                break
        (task,) = ended
        name = self._tasks.pop(task)
        try:
            kind, content = self._ray.get(task)
        except self._ray.exceptions.RayError as error:
            lost = ClusterError(f"{name}: lost on the cluster: {one_line(error)}")
            return Finished(name, error=lost)
        if kind == MADE:
            return Finished(name, tuple(map(Path, content)))
        return Finished(name, error=content)

    def _give_up(self) -> None:
        for task in self._tasks:
            # It may have ended meanwhile.
            with suppress(self._ray.exceptions.RayError):
                self._ray.cancel(task, force=True)
        self._tasks.clear()


@dataclass(frozen=True)
class Place:
    """Where a work is done, as the machine that asks for it sees that.

    Attributes:
        token: a file that is there while the build is at work.
        current: the current folder, which relative paths are relative to.
        versions: of what does the work, by name.
    """

    token: str
    current: str
    versions: dict[str, str]

    def check(self) -> None:
        """Whether this machine can do it.

        Raises:
            ClusterError: it does not see the folder, or has other versions.
        """
        machine = platform.node()
        folder = Path(self.token).parent
        if not Path(self.token).exists() or not Path(self.current).is_dir():
            raise ClusterError(
                f"the machine {machine} of the cluster does not see {folder}. All machines need the folders that a build "
                "reads and writes under the same path, such as by NFS."
            )
        own = versions()
        others = [name for name in own if own[name] != self.versions.get(name)]
        if others or own.keys() != self.versions.keys():
            names = others or sorted(own.keys() ^ self.versions.keys())
            raise ClusterError(
                f"the machine {machine} of the cluster has other versions of {', '.join(names)}, expected the same on "
                "all, so that the same files come of it."
            )


class Mailbox:
    """What works say on their machines, until the build asks for it."""

    def __init__(self) -> None:
        self._lines: list[tuple[str, str]] = []

    def put(self, name: str, line: str) -> None:
        self._lines.append((name, line))

    def take(self) -> list[tuple[str, str]]:
        """What was said since."""
        lines, self._lines = self._lines, []
        return lines


def work(content: bytes, name: str, place: Place, mailbox: Any) -> tuple[str, Any]:
    """A step on a machine of the cluster: how it ended, with the paths of what it made or its error."""

    def say(line: str) -> None:
        mailbox.put.remote(name, line)

    def check() -> None:
        place.check()
        os.chdir(place.current)

    with warnings.catch_warnings():
        warnings.showwarning = relayed(say)
        return answer(content, say, check)
