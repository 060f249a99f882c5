"""Walk through a FlatBuffer that need not be trusted, within a budget that its size sets.

Parts may be shared, but a file that means them over and over is made to exhaust who reads it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from edgekit.formats.flatbuffer import Bytes, DamagedError, Table

# The sum of vectors and strings as a multiple of the file's size; tables, which take 5 us each here.
_SHARING = 16
_MOST_TABLES = 500_000


class Walk:
    """Steps through a file's tables, and counts what it sees.

    Raises:
        DamagedError: in any method, where a part does not lie in the file or the budget is spent.
    """

    def __init__(self, content: Bytes) -> None:
        self.content = content
        self._elements = _SHARING * len(content)
        # One entry of a vector, 4 bytes, is the least that it takes to name a table.
        self._tables = min(len(content) // 4 + 1000, _MOST_TABLES)

    def _spend(self, elements: int = 0, tables: int = 0) -> None:
        self._elements -= elements
        self._tables -= tables
        if min(self._elements, self._tables) < 0:
            raise DamagedError("its parts are used over and over beyond what its size explains")

    def tables(self, table: Table, field: int) -> Iterator[Table]:
        """The tables of a vector, in its order, each made when it is its turn."""
        for each in table.tables(field):
            self._spend(tables=1)
            yield each

    def table(self, table: Table, field: int) -> Table | None:
        """The table that a field refers to; None if it was left out."""
        found = table.table(field)
        if found is not None:
            self._spend(tables=1)
        return found

    def text(self, table: Table, field: int) -> str:
        """A text; empty if it was left out."""
        text = table.text(field)
        self._spend(elements=len(text))
        return text

    def integers(self, table: Table, field: int) -> NDArray[np.int32]:
        """A vector of 32-bit integers, shape (n,), where it lies in the file."""
        found = table.span(field, "<i4")
        self._spend(elements=found.count)
        return found.of(self.content)

    def check_union(
        self, table: Table, field: int, vectors: Mapping[int, Mapping[int, int]]
    ) -> None:
        """Check the vectors of a union's table, whose type stands one field before it.

        Args:
            table: has the union.
            field: the union's.
            vectors: for each of its types, the fields that are vectors, and bytes an element.
        """
        found = self.table(table, field)
        if found is not None:
            for vector, width in vectors.get(table.number(field - 1, "B"), {}).items():
                found.vector(vector, width)
