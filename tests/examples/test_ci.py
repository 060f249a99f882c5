"""The examples for CI services, make and DVC: their commands are run, with a program in edgekit's place that notes them.

What edgekit itself would do is asked of it, with the same words.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from edgekit.build.matrix import orders_of
from edgekit.build.pipeline import read_pipeline
from edgekit.cli import command, main

CI = Path(__file__).parents[2] / "examples" / "ci"
# Notes its words, a line a call.
NOTES = """#!/bin/sh
printf '%s\\n' "$*" >> "$NOTES"
"""

Run = Callable[..., list[str]]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The folder of a project with what the examples name."""
    for name in ("pipeline.toml", "Makefile", "dvc.yaml"):
        shutil.copy(CI / name, tmp_path)
    (tmp_path / "data").mkdir()
    for name in ("model.keras", "data/train.npz", "data/test.npz"):
        (tmp_path / name).write_bytes(b"")
    return tmp_path


@pytest.fixture
def run(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Runs words in the project; gives what edgekit and pip were called with."""
    programs = tmp_path_factory.mktemp("programs")
    for name in ("edgekit", "pip"):
        (programs / name).write_text(NOTES)
        (programs / name).chmod(0o755)
    notes = programs / "notes"

    def call(*words: str, **variables: str) -> list[str]:
        notes.write_text("")
        path = f"{programs}{os.pathsep}{os.environ['PATH']}"
        place = {**os.environ, "PATH": path, "NOTES": str(notes), **variables}
        done = subprocess.run(
            words, cwd=project, env=place, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return notes.read_text().splitlines()

    return call


def understood(line: str) -> Any:
    """The arguments of a command of edgekit's, as it reads them."""
    name, *words = line.split()
    return command(name)[0].parse_args(words)


def test_the_pipeline_is_built_for_each_board(
    project: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    orders = orders_of(read_pipeline(project / "pipeline.toml"), project / "build")
    assert [order.cell for order in orders] == [
        "plain/raspberry-pi-4b",
        "plain/raspberry-pi-5",
        "pruned/raspberry-pi-4b",
        "pruned/raspberry-pi-5",
    ]
    monkeypatch.chdir(project)
    assert main(["build", "pipeline.toml", "-o", "build", "--dry-run"]) == 0
    planned = capfd.readouterr().out
    assert planned.count("export ") >= 4
    assert planned.count("optimise model/pruned  ") == 1


def test_github_actions(run: Run, tmp_path: Path) -> None:
    steps = yaml.safe_load((CI / "github-actions.yml").read_text())["jobs"]["build"]["steps"]
    called = [
        line
        for step in steps
        if "run" in step
        for line in run("sh", "-ec", step["run"], SIGNING_KEY="KEY", RUNNER_TEMP=str(tmp_path))
    ]
    assert called[0] == "install edgekit-keras[all]"
    plain, signed = (understood(line) for line in called[1:])
    assert (plain.model, plain.out, plain.key) == ("pipeline.toml", "build", None)
    assert signed.key == str(tmp_path / "signer.pem")
    assert Path(signed.key).read_text() == "KEY\n"
    assert Path(signed.key).stat().st_mode & 0o077 == 0
    kept = next(step["with"]["path"] for step in steps if "cache@" in step.get("uses", ""))
    assert kept == plain.out
    assert all(step.get("uses", "actions/").startswith("actions/") for step in steps)


def test_gitlab(run: Run) -> None:
    job = yaml.safe_load((CI / "gitlab-ci.yml").read_text())["model"]
    script = "\n".join(job["script"])
    assert understood(run("sh", "-ec", script)[1]).key is None
    args = understood(run("sh", "-ec", script, SIGNING_KEY="signer.pem")[1])
    assert (args.key, args.keep_going) == ("signer.pem", True)
    assert job["cache"]["paths"] == [args.out]


def test_make(run: Run, project: Path) -> None:
    assert understood(run("make")[0]).key is None
    assert understood(run("make", "KEY=signer.pem")[0]).key == "signer.pem"
    assert understood(run("make", "plan")[0]).dry_run
    (project / "build/plain").mkdir(parents=True)
    (project / "build/plain/model.tar.xz").touch()
    built, tested = run("make", "check")
    assert understood(built).out == "build"
    assert understood(tested).bundle == "build/plain/model.tar.xz"


def test_dvc(run: Run, project: Path) -> None:
    stage = yaml.safe_load((CI / "dvc.yaml").read_text())["stages"]["bundles"]
    args = understood(run("sh", "-ec", stage["cmd"])[0])
    assert [args.out] == [next(iter(each)) for each in stage["outs"]]
    assert all((project / path).exists() for path in stage["deps"])
    model = read_pipeline(project / "pipeline.toml").model
    read = {args.model, *(str(Path(p).relative_to(project)) for p in vars(model).values() if p)}
    assert read == set(stage["deps"])


def test_no_example_names_a_machine_or_a_host() -> None:
    for path in CI.iterdir():
        text = path.read_text()
        assert "://" not in text, path
        assert not re.search(r"/(home|root|tmp|work)/", text), path
    tested = ["Makefile", "dvc.yaml", "github-actions.yml", "gitlab-ci.yml", "pipeline.toml"]
    assert sorted(path.name for path in CI.iterdir()) == tested
