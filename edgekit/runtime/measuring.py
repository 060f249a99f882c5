"""Measuring: the rounds of a benchmark, in which files in processes of their own take turns."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from time import process_time

import numpy as np

from edgekit.errors import EdgekitError
from edgekit.runtime import linux
from edgekit.runtime.bench import Bench, Failure, Run
from edgekit.runtime.contestant import Contestant, Entry, contestant
from edgekit.runtime.host import HostState
from edgekit.runtime.latency import Latency
from edgekit.runtime.relative import Relative, log_ratio
from edgekit.runtime.turns import LEAST_CALLS, Times, take_turns
from edgekit.runtime.watch import Watch

# Backends that take seconds to start, and are started once.
_LASTING = ("keras", "tensorflow")
# Of the largest process so far, what has to be free for one more; and what any needs.
_ROOM, _ROOM_BYTES = 1.5, 64 << 20


@dataclass
class _Record:
    """What is known of one file so far; a number for each of its processes."""

    entry: Entry
    loads_ms: list[float] = field(default_factory=list)
    firsts_ms: list[float] = field(default_factory=list)
    medians_ms: list[float] = field(default_factory=list)
    logs: list[float] = field(default_factory=list)
    blocks: list[Times] = field(default_factory=list)
    peaks: list[int] = field(default_factory=list)
    steady: list[int] = field(default_factory=list)
    energies_mj: list[float] = field(default_factory=list)
    open_shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    cpu_s: float = 0.0

    def add(self, blocks: Sequence[Times]) -> None:
        self.blocks += blocks
        self.medians_ms.append(float(np.median(np.concatenate(blocks))) / 1e6)

    def end(self, seated: Contestant) -> None:
        """Note what its process has taken."""
        usage = seated.usage()
        self.peaks += [] if usage.peak_rss_bytes is None else [usage.peak_rss_bytes]
        self.steady += [] if usage.rss_bytes is None else [usage.rss_bytes]
        self.cpu_s += usage.cpu_s
        self.energies_mj += seated.energies_mj

    def run(self, relative: Relative | None) -> Run:
        entry = self.entry
        samples = np.concatenate(self.blocks).tolist()
        latency = Latency.of(samples)
        return Run(
            artifact=entry.artifact.recorded(),
            backend=entry.backend,
            threads=entry.options.threads,
            delegate=entry.options.delegate,
            load_ms=statistics.median(self.loads_ms),
            first_ms=statistics.median(self.firsts_ms),
            latency=latency,
            throughput_per_s=entry.batch * 1000 / latency.mean_ms if latency.mean_ms else None,
            peak_rss_bytes=max(self.peaks, default=None),
            exact=entry.exact,
            loads_ms=tuple(self.loads_ms),
            medians_ms=tuple(self.medians_ms),
            steady_rss_bytes=int(statistics.median(self.steady)) if self.steady else None,
            relative=relative,
            open_shapes=self.open_shapes,
            batch=entry.batch,
            energy_mj=statistics.median(self.energies_mj) if self.energies_mj else None,
            samples_ns=tuple(samples),
        )


class _FailedError(Exception):
    """One file could not be started, or ended."""

    def __init__(self, record: _Record, cause: EdgekitError) -> None:
        super().__init__(str(cause))
        self.record, self.cause = record, cause


def measure(
    entries: Sequence[Entry],
    *,
    seconds: float,
    warmup: int,
    processes: int,
    tell: Callable[[str], None],
    failures: Sequence[Failure] = (),
) -> Bench:
    """Time files that take turns, as `edgekit.benchmark` says.

    Args:
        entries: at least one; the first is what the others are held against.
        failures: of files that did not come so far.

    Raises:
        EdgekitError: none of them can be timed: why the first cannot.
    """
    failed = list(failures)
    first: EdgekitError | None = None
    records = [_Record(entry) for entry in entries]
    host = HostState.read()
    watch = Watch(host.cores, max(entry.options.threads for entry in entries))
    before, lost = process_time(), 0
    contest = _Contest(seconds / processes, math.ceil(LEAST_CALLS / processes), warmup)
    done = 0
    with contest:
        while done < processes:
            tell(f"timing {len(records)} files in turns: {done + 1} of {processes}")
            watch.look()
            try:
                contest.generation(records)
            except _FailedError as error:
                lost += 1
                first = first or error.cause
                failed.append(Failure(error.record.entry.artifact.file, str(error.cause)))
                if error.record is records[0]:
                    # What was held against it is held against the next.
                    records = [_Record(record.entry) for record in records[1:]]
                    contest.close()
                    done = 0
                else:
                    records = [record for record in records if record is not error.record]
                if not records:
                    raise first from None
            else:
                done += 1
        watch.look()
        contest.end(records)
    own = process_time() - before + sum(record.cpu_s for record in records)
    disturbed = watch.disturbances(None if lost else own)
    reference = records[0].entry.artifact.file
    runs = [
        record.run(
            Relative.of(reference, record.logs, disturbed=bool(disturbed)) if i else None,
        )
        for i, record in enumerate(records)
    ]
    return Bench(host, tuple(host.noise), tuple(runs), disturbed, tuple(failed))


class _Contest:
    """The processes of a benchmark, as long as they run."""

    def __init__(self, seconds: float, least: int, warmup: int) -> None:
        self._warmup = warmup
        self._budget_ns, self._least = int(seconds * 1e9), least
        self._order = random.Random(0)
        self._lasting = ExitStack()
        self._seated: dict[int, Contestant] = {}

    def __enter__(self) -> _Contest:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the processes that lasted."""
        self._seated.clear()
        self._lasting.close()

    def generation(self, records: Sequence[_Record]) -> None:
        """Fresh processes for all files; as many at once as there is memory for, the first always.

        Raises:
            _FailedError: with the file that failed. What the others measured before stays.
        """
        reference, waiting = records[0], list(records[1:])
        self._order.shuffle(waiting)
        while True:
            with ExitStack() as stack:
                seats = [(reference, self._seat(reference, stack))]
                while waiting and (len(seats) < 2 or _room(records)):
                    record = waiting.pop()
                    seats.append((record, self._seat(record, stack)))
                self._take_turns(seats)
            if not waiting:
                return

    def end(self, records: Sequence[_Record]) -> None:
        """Ask those that lasted what they have taken."""
        for record in records:
            if id(record) in self._seated:
                record.end(self._seated[id(record)])

    def _seat(self, record: _Record, stack: ExitStack) -> Contestant:
        if id(record) in self._seated:
            return self._seated[id(record)]
        lasts = record.entry.backend.name in _LASTING
        try:
            seated = (self._lasting if lasts else stack).enter_context(contestant(record.entry))
            seated.begin(self._warmup)
        except EdgekitError as error:
            raise _FailedError(record, error) from error
        if lasts:
            self._seated[id(record)] = seated
        record.loads_ms.append(seated.load_ms)
        record.firsts_ms.append(seated.first_ms)
        record.open_shapes = seated.open_shapes
        return seated

    def _take_turns(self, seats: Sequence[tuple[_Record, Contestant]]) -> None:
        def block_of(record: _Record, seated: Contestant) -> Callable[[], Times]:
            def block() -> Times:
                try:
                    return seated.block()
                except EdgekitError as error:
                    raise _FailedError(record, error) from error

            return block

        taken = take_turns(
            [block_of(*seat) for seat in seats],
            self._budget_ns,
            least=self._least,
            order=self._order,
        )
        for (record, seated), blocks in zip(seats, taken, strict=True):
            record.add(blocks)
            if record is not seats[0][0]:
                record.logs.append(log_ratio(blocks, taken[0]))
            if id(record) not in self._seated:
                record.end(seated)


def _room(records: Sequence[_Record]) -> bool:
    """Whether one more process has room in memory."""
    available = linux.memory(linux.ROOT)[1]
    largest = max((peak for record in records for peak in record.peaks), default=0)
    return available is None or available > max(_ROOM * largest, _ROOM_BYTES)
