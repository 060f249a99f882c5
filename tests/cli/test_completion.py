"""Completion: what each shell offers, asked of the shell; and that every option is in every script."""

from __future__ import annotations

import os
import pty
import select
import shlex
import subprocess
import time
from pathlib import Path

import pytest
from support import needs

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
    assert offered(scripts, "edgekit -") == ["-h", "--help", "--version"]


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


def offered_by_fish(scripts: Path, line: str) -> list[str]:
    code = f"source {scripts / 'fish'}; complete -C {shlex.quote(line)}"
    words = [needs.tool("fish"), "--no-config", "-c", code]
    done = subprocess.run(
        words,
        capture_output=True,
        text=True,
        check=True,
        cwd=scripts,
        env={"HOME": str(scripts), "PATH": os.environ["PATH"]},
    )
    assert not done.stderr
    return [each.partition("\t")[0] for each in done.stdout.splitlines()]


def test_fish(scripts: Path) -> None:
    assert offered_by_fish(scripts, "edgekit ") == sorted(COMMANDS)
    assert offered_by_fish(scripts, "edgekit --ver") == ["--version"]
    assert offered_by_fish(scripts, "edgekit build --keep") == ["--keep-going"]
    assert offered_by_fish(scripts, "edgekit export m.keras --quality ") == [
        "best",
        "default",
        "fast",
    ]
    assert offered_by_fish(scripts, "edgekit devices ru") == ["run"]
    # Where it is a file: what lies here.
    assert offered_by_fish(scripts, "edgekit compare z") == ["zsh"]


def test_zsh(scripts: Path) -> None:
    """Typed at its prompt, as its completion works nowhere else."""
    shell = needs.tool("zsh")
    pid, terminal = pty.fork()
    if not pid:
        os.chdir(scripts)
        os.execve(
            shell,
            [shell, "-f", "-i"],
            {"HOME": str(scripts), "PATH": os.environ["PATH"], "TERM": "dumb"},
        )

    def until(text: str) -> None:
        """Read what it shows until that is there."""
        said, end = "", time.monotonic() + 60
        while text not in said:
            assert time.monotonic() < end, said
            if select.select([terminal], [], [], 1)[0]:
                said += os.read(terminal, 1 << 16).decode()

    try:
        os.write(terminal, b"autoload -Uz compinit; compinit -u -D; source ./zsh; PS1=re''ady\n")
        until("ready")
        for typed, line in (
            ("edgekit exp", "edgekit export"),
            ("edgekit build --keep", "edgekit build --keep-going"),
            ("edgekit export --quality b", "edgekit export --quality best"),
            ("edgekit devices ru", "edgekit devices run"),
            ("edgekit compare z", "edgekit compare zsh"),
        ):
            # With Ctrl-A the line is made what another command prints.
            os.write(terminal, typed.encode() + b"\t\x01print -r -- @\n")
            until(f"\n@{line}")
    finally:
        os.close(terminal)
        os.waitpid(pid, 0)


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
