from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from edgekit.config import from_table, read_toml
from edgekit.errors import RecipeError, UsageError


@dataclass(frozen=True)
class Inner:
    size: int
    share: float = 0.5


@dataclass(frozen=True)
class Outer:
    name: str
    inner: Inner
    flag: bool = False
    sizes: tuple[int, ...] = ()
    parts: tuple[Inner, ...] = ()
    extra: Inner | None = None
    limit: int | None = None

    def __post_init__(self) -> None:
        if not self.name:
            raise RecipeError("name: received '', expected a word.")


def test_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text(
        'name = "n"\nflag = true\nsizes = [1, 2]\nlimit = 3\n'
        "[inner]\nsize = 4\nshare = 1\n[[parts]]\nsize = 5\n[extra]\nsize = 6\n"
    )
    outer = read_toml(path, Outer)
    assert outer == Outer("n", Inner(4, 1.0), True, (1, 2), (Inner(5),), Inner(6), 3)
    assert type(outer.inner.share) is float


def test_what_has_a_default_may_be_missing() -> None:
    assert from_table(Outer, {"name": "n", "inner": {"size": 1}}) == Outer("n", Inner(1))


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"nmae": "n"}, r"unknown key 'nmae'.*Did you mean 'name'\?"),
        ({"name": "n", "inner": {"siez": 1}}, r"unknown key 'inner.siez'.*Did you mean 'size'\?"),
        ({"name": "n", "inner": {"size": 1}, "zzz": 1}, r"unknown key 'zzz', expected one of name"),
        ({"name": "n"}, "key 'inner' is missing"),
        ({"name": "n", "inner": {}}, "key 'inner.size' is missing"),
        ({"name": 1}, r"key 'name': received 1 \(int\), expected str"),
        ({"name": "n", "inner": 5}, "key 'inner': received 5, expected a table"),
        ({"name": "n", "inner": {"size": 1.5}}, "'inner.size': received 1.5 .*expected int"),
        ({"name": "n", "inner": {"size": True}}, r"received True \(bool\), expected int"),
        ({"name": "n", "inner": {"size": 1, "share": "x"}}, "expected float"),
        ({"name": "n", "flag": 1}, r"received 1 \(int\), expected bool"),
        ({"name": "n", "sizes": 1}, "'sizes': received 1, expected a list"),
        ({"name": "n", "sizes": [1, "2"]}, r"'sizes\[1\]': received '2'"),
        ({"name": "n", "parts": [{"size": 1}, {"sise": 2}]}, r"'parts\[1\].sise'"),
        ({"name": "n", "limit": "many"}, "'limit': received 'many'"),
        ({"name": "", "inner": {"size": 1}}, "name: received ''"),
    ],
)
def test_what_is_wrong_is_named(table: dict, says: str) -> None:
    with pytest.raises(RecipeError, match=says) as caught:
        from_table(Outer, table)
    assert caught.value.exit_code == 2


def test_the_file_is_named_too(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text("nmae = 1")
    with pytest.raises(RecipeError, match=r"a\.toml: unknown key 'nmae'"):
        read_toml(path, Outer)


@pytest.mark.parametrize(
    "content",
    [
        b"name = ",
        b"\xff\xfe",
        b"name = 1\nname = 2",
        b"count = " + b"9" * 5000,
        # Each would take the reader the square of so many steps.
        b".".join([b"name"] * 100_000) + b" = 1",
        b"[" + b" . ".join([b"'name'"] * 100_000) + b"]",
    ],
)
def test_no_toml_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.toml"
    path.write_bytes(content)
    with pytest.raises(RecipeError, match="not TOML"):
        read_toml(path, Outer)


def test_a_folder_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="not TOML"):
        read_toml(tmp_path, Outer)
    with pytest.raises(UsageError, match="does not exist"):
        read_toml(tmp_path / "none.toml", Outer)
