"""Tables of documents as TOML."""

from __future__ import annotations

import sys
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from edgekit.report.toml import to_toml

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

texts = st.text(st.characters(exclude_categories=("Cs",)))
leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | texts
)
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


def without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_none(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [without_none(item) for item in value if item is not None]
    return value


@given(st.dictionaries(texts, values, max_size=5))
def test_what_is_written_is_read_again(table: dict[str, Any]) -> None:
    assert tomllib.loads(to_toml(table)) == without_none(table)


def test_it_reads_as_a_person_writes_it() -> None:
    recipe = {
        "calibration": {"samples": 200, "method": "minmax"},
        "scheme": "int8",
        "seed": None,
        "steps": ["prune80"],
        "two words": {},
    }
    assert to_toml(recipe) == (
        'scheme = "int8"\nsteps = ["prune80"]\n\n[calibration]\nsamples = 200\nmethod = "minmax"\n\n'
        '["two words"]\n'
    )


def test_half_a_character_pair_becomes_a_question_mark() -> None:
    assert tomllib.loads(to_toml({"name": "a\ud800b"})) == {"name": "a?b"}
