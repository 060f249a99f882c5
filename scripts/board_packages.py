#!/usr/bin/env python3
"""Pin the Debian packages that emulated boards are made of: ``edgekit/boards/packages/*.txt``.

A line is a package: its archive, its path there, its size in bytes and its SHA-256. apt resolves them from this
machine's own Debian sources, and checks the archive's signature. Needs apt, and no root.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from edgekit.boards.archive import own_archives

# What a Raspberry Pi OS Lite has, and a deployment needs: a shell, Python, an SSH server.
_BASE = [
    "base-files",
    "bash",
    "coreutils",
    "dash",
    "diffutils",
    "findutils",
    "grep",
    "gzip",
    "sed",
    "tar",
    "mawk",
    "util-linux",
    "procps",
    "hostname",
    "libc-bin",
    "python3",
    "python3-venv",
    "ca-certificates",
    "libstdc++6",
    "libgomp1",
    "openssh-server",
    "openssh-client",
    "openssh-sftp-server",
]
_ROOTS = {
    "arm64-bookworm": _BASE,
    "arm64-trixie": _BASE,
    # There is no wheel of numpy for this one; Raspberry Pi OS takes Debian's.
    "armhf-bookworm": [*_BASE, "python3-numpy"],
}
_QEMU = {"amd64-bookworm": ["qemu-user-static"]}
_KEYS = "/usr/share/keyrings/debian-archive-keyring.gpg"
_LINE = re.compile(r"^'(?P<uri>[^']+)' \S+ (?P<size>\d+) SHA256:(?P<sha256>[0-9a-f]{64})$", re.M)


def pins(name: str, packages: list[str], depends: bool = True) -> str:
    """The lines of one file."""
    architecture, suite = name.split("-")
    archives = own_archives()
    with tempfile.TemporaryDirectory() as folder:
        apt = Path(folder)
        for inner in ("state/lists/partial", "cache/archives/partial"):
            (apt / inner).mkdir(parents=True)
        (apt / "state/status").touch()
        signed = f"[signed-by={_KEYS}]"
        sources = apt / "sources.list"
        sources.write_text(
            f"deb {signed} {archives['debian']} {suite} main\n"
            f"deb {signed} {archives['debian']} {suite}-updates main\n"
            f"deb {signed} {archives['debian-security']} {suite}-security main\n"
        )
        (apt / "apt.conf").write_text(
            f'APT::Architecture "{architecture}"; APT::Architectures {{ "{architecture}"; }};\n'
            'APT::Sandbox::User ""; APT::Install-Recommends "false"; Acquire::Languages "none";\n'
            f'Acquire::ForceHash "SHA256"; Dir::State "{apt}/state"; Dir::Cache "{apt}/cache";\n'
            f'Dir::State::status "{apt}/state/status"; Dir::Etc::sourcelist "{apt}/sources.list";\n'
            'Dir::Etc::sourceparts "-"; Dir::Etc::parts "-"; Dir::Etc::preferencesparts "-";\n'
            'Dir::Etc::trusted "-"; Dir::Etc::trustedparts "-"; Dir::Etc::main "-";\n'
        )
        environment = {"APT_CONFIG": str(apt / "apt.conf"), "PATH": "/usr/bin:/bin"}
        if subprocess.run(["apt-get", "-qq", "update"], env=environment).returncode:
            # A mirror may be in the middle of a sync.
            print(f"{name}: without {suite}-security, which cannot be read now", file=sys.stderr)
            kept = [
                line for line in sources.read_text().splitlines(True) if "-security" not in line
            ]
            sources.write_text("".join(kept))
            subprocess.run(["apt-get", "-qq", "update"], check=True, env=environment)
        how = ["install", "-y"] if depends else ["download"]
        found = subprocess.run(
            ["apt-get", "-qq", *how, "--print-uris", *packages],
            check=True,
            env=environment,
            text=True,
            capture_output=True,
        ).stdout
    lines = []
    for match in _LINE.finditer(found):
        archive = "debian-security" if "/updates/" in match["uri"] else "debian"
        path = "pool/" + match["uri"].partition("/pool/")[2]
        lines.append(f"{archive} {path} {match['size']} {match['sha256']}\n")
    if not lines:
        raise SystemExit(f"{name}: apt-get named no package: {found[:400]}")
    return "".join(sorted(lines))


def run(folder: str) -> int:
    for name, packages in _ROOTS.items():
        (Path(folder) / f"{name}.txt").write_text(pins(name, packages))
    for name, packages in _QEMU.items():
        (Path(folder) / f"qemu-{name}.txt").write_text(pins(name, packages, depends=False))
    return 0


if __name__ == "__main__":
    sys.exit(run(str(Path(__file__).parents[1] / "edgekit" / "boards" / "packages")))
