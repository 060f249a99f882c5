"""Where a bundle is written: whole or not at all, over another bundle and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import needs

from edgekit.bundle.contents import NAME
from edgekit.bundle.pack import Parts, pack
from edgekit.bundle.verification import verify_bundle
from edgekit.bundle.writing import refuse_place, written
from edgekit.errors import OutputExistsError, UsageError


@pytest.mark.parametrize("name", ["p.bundle", "p.tar.xz"])
def test_one_bundle_replaces_another(parts: Parts, tmp_path: Path, name: str) -> None:
    needs.package("cyclonedx")
    out = tmp_path / "new" / name
    pack(parts, out)
    with pytest.raises(OutputExistsError):
        pack(parts, out)
    pack(parts, out, overwrite=True)
    assert verify_bundle(out, allow_unsigned=True).verdict == "pass"
    assert [path.name for path in out.parent.iterdir()] == [name]


def test_a_folder_that_is_no_bundle_is_not_replaced(parts: Parts, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.tex").write_text("years of work")
    with pytest.raises(UsageError, match="is a folder that is no bundle, which is not replaced"):
        pack(parts, mine, overwrite=True)
    assert (mine / "thesis.tex").read_text() == "years of work"
    archive = tmp_path / "p.tar.xz"
    archive.mkdir()
    with pytest.raises(UsageError, match="expected the name of a file"):
        refuse_place(archive, overwrite=True)


def fill_in_vain(out: Path) -> None:
    with written(out) as folder:
        (folder / NAME).write_text("new")
        raise ZeroDivisionError


@pytest.mark.parametrize("name", ["p.bundle", "p.tar.xz"])
def test_what_fails_leaves_what_was_there(tmp_path: Path, name: str) -> None:
    out = tmp_path / name
    with written(out) as folder:
        (folder / NAME).write_text("old")
    before = out.read_bytes() if out.is_file() else (out / NAME).read_bytes()
    with pytest.raises(ZeroDivisionError):
        fill_in_vain(out)
    after = out.read_bytes() if out.is_file() else (out / NAME).read_bytes()
    assert after == before
    assert [path.name for path in tmp_path.iterdir()] == [name]
