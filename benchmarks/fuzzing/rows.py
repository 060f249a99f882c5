"""What became of mutants: a row for a range of them, a file of its own, so that a run can go on later."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from fuzzing.supervised import BROKEN


@dataclass
class Row:
    """A range of mutants.

    Attributes:
        seed: of the mutants.
        endings: of the files that were mutated.
        first: place of the first of them.
        ended: [ending, mutation, outcome, how many].
        broken: a line for each that broke its caller.
    """

    seed: int
    endings: list[str]
    first: int
    ended: list[tuple[str, str, str, int]] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    def count(self, ending: str, mutation: str, kind: str) -> None:
        for place, (*key, number) in enumerate(self.ended):
            if key == [ending, mutation, kind]:
                self.ended[place] = (ending, mutation, kind, number + 1)
                return
        self.ended.append((ending, mutation, kind, 1))

    @property
    def mutants(self) -> int:
        return sum(number for *_, number in self.ended)


def path_of(folder: Path, seed: int, endings: Sequence[str], first: int) -> Path:
    return folder / f"{seed}.{'+'.join(each[1:] for each in endings)}.{first:06}.json"


def read(path: Path) -> Row | None:
    """A row that was written before; None without one."""
    if not path.exists():
        return None
    told = json.loads(path.read_text("utf-8"))
    return Row(**{**told, "ended": [tuple(each) for each in told["ended"]]})


def write(path: Path, row: Row) -> None:
    fresh = path.with_suffix(".part")
    fresh.write_text(json.dumps(asdict(row)), "utf-8")
    fresh.rename(path)


def summary(rows: Sequence[Row], seed: int, seconds: float) -> int:
    """Print what became of all, and give how many broke their caller."""
    outcomes: Counter[tuple[str, str]] = Counter()
    mutations: dict[str, Counter[str]] = {}
    for row in rows:
        for ending, mutation, kind, number in row.ended:
            outcomes[ending[1:], kind] += number
            mutations.setdefault(f"{ending[1:]} {mutation}", Counter())[kind] += number
    for (ending, kind), number in sorted(outcomes.items()):
        print(f"{ending:7} {kind:45} {number:6}")
    print()
    for name, counter in sorted(mutations.items()):
        passed = counter["loaded and ran"]
        print(f"{name:20} {counter.total():6}, of these loaded and ran {passed}")
    broken = sum(number for (_, kind), number in outcomes.items() if BROKEN in kind)
    done = sum(row.mutants for row in rows)
    print(f"\n{done} mutants, seed {seed}, {seconds:.0f} s, broken: {broken}")
    return broken
