"""Completion: what bash offers, asked of bash; and that every option is in the scripts of the other shells."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest

from edgekit.cli import COMMANDS, command, main

pytestmark = pytest.mark.processes


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``bash``, ``zsh`` and ``fish``."""
    folder = tmp_path_factory.mktemp("scripts")
    for shell in ("bash", "zsh", "fish"):
        from edgekit.cli.completion import _SHELLS

        (folder / shell).write_text(_SHELLS[shell]())
    return folder


def offered(scripts: Path, line: str) -> list[str]:
    """What bash completes the last word of `line` to."""
    words = [*shlex.split(line), *([""] if line.endswith(" ") else [])]
    code = f"""
source {scripts / "bash"}
COMP_WORDS=({" ".join(map(shlex.quote, words))})
COMP_CWORD={len(words) - 1}
_edgekit
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=True)
    assert not done.stderr
    return done.stdout.split()


def test_commands(scripts: Path) -> None:
    assert offered(scripts, "edgekit ") == list(COMMANDS)
    assert offered(scripts, "edgekit ex") == ["export"]
    assert offered(scripts, "edgekit nothing ") == []


def test_options_and_what_they_take(scripts: Path) -> None:
    assert offered(scripts, "edgekit build --keep") == ["--keep-going"]
    assert offered(scripts, "edgekit export m.keras --quality ") == ["fast", "default", "best"]
    assert offered(scripts, "edgekit export --quality b") == ["best"]
    assert offered(scripts, "edgekit bench --color n") == ["never"]
    # A file: what bash itself completes.
    assert offered(scripts, "edgekit export m.keras --calibration ") == []
    assert offered(scripts, "edgekit export m.keras -o --q") == []
    assert offered(scripts, "edgekit compare ") == []
    parser, _ = command("compare")
    assert offered(scripts, "edgekit compare a -") == list(parser._option_string_actions)


def test_actions(scripts: Path) -> None:
    assert offered(scripts, "edgekit devices ")[:3] == ["list", "detect", "show"]
    assert offered(scripts, "edgekit devices ru") == ["run"]
    assert "--ssh-config" in offered(scripts, "edgekit devices run --")
    assert "--ssh-config" not in offered(scripts, "edgekit devices --")
    assert offered(scripts, "edgekit completion ") == ["bash", "zsh", "fish"]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_in_every_script(name: str, scripts: Path) -> None:
    parser, _ = command(name)
    options = list(parser._option_string_actions)
    assert offered(scripts, f"edgekit {name} x -") == options
    fish = [line for line in (scripts / "fish").read_text().splitlines() if f"from {name}'" in line]
    for option in options:
        word = f"-l {option[2:]} " if option.startswith("--") else f"-s {option[1:]} "
        assert [line for line in fish if f" {word}" in line], option


def test_scripts_are_words_and_quotes(scripts: Path) -> None:
    subprocess.run(["bash", "-n", scripts / "zsh"], check=True)
    for line in (scripts / "fish").read_text().splitlines()[1:]:
        # Its quoting is a shell's, too.
        assert shlex.split(line)[:3] == ["complete", "-c", "edgekit"]


def test_by_its_command(capfd: pytest.CaptureFixture[str], scripts: Path) -> None:
    assert main(["completion", "bash"]) == 0
    assert capfd.readouterr().out == (scripts / "bash").read_text()
    assert main(["completion", "tcsh"]) == 2
    assert "received 'tcsh', expected one of bash, zsh, fish" in capfd.readouterr().err
