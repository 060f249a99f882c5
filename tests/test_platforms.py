"""The base install where the system lacks what Linux has: taken away in a child process.

macOS has no /proc and fewer calls; Windows lacks `fcntl`, `resource`, `fork` and most signals as well.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support import needs

import edgekit

pytestmark = pytest.mark.processes

LESS = """
import builtins, io, os, signal, sys

MODULES = ("fcntl", "resource", "pwd", "grp", "termios")
CALLS = ("fork", "sysconf", "sched_getaffinity", "getuid", "geteuid", "getloadavg", "statvfs",
         "register_at_fork", "memfd_create", "O_CLOEXEC", "O_NOFOLLOW", "O_DIRECTORY")
SIGNALS = ("SIGHUP", "SIGXCPU", "SIGALRM", "SIGQUIT", "SIGPIPE", "SIGUSR1")

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name in MODULES:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
for name in MODULES:
    sys.modules.pop(name, None)
for name in CALLS:
    delattr(os, name)
for name in SIGNALS:
    delattr(signal, name)

really = io.open
def without_proc(file, *words, **options):
    if isinstance(file, (str, os.PathLike)) and os.fspath(file).startswith(("/proc", "/sys")):
        raise FileNotFoundError(2, "No such file or directory", file)
    return really(file, *words, **options)
builtins.open = io.open = without_proc
"""

DESKTOP = {
    # Its SDK looks for fcntl by the name of the system, which stays here.
    "agents",
    "models",
    "calibration",
    "optimize",
    "convert",
    "train",
    "tune",
    "pipeline",
    "build",
    "__main__",
}
PACKAGE = Path(edgekit.__file__).parent
MODULES = [
    ".".join(("edgekit", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(
        ".__init__"
    )
    for path in sorted(PACKAGE.rglob("*.py"))
    if path.relative_to(PACKAGE).parts[0].removesuffix(".py") not in DESKTOP
]


def run(code: str, tmp_path: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", LESS + code],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_what_is_taken_away_is_gone(tmp_path: Path) -> None:
    code = """
for name in MODULES:
    try:
        __import__(name)
    except ModuleNotFoundError:
        print(name)
try:
    open("/proc/cpuinfo")
except FileNotFoundError:
    print(hasattr(os, "fork"))
"""
    assert run(code, tmp_path).split() == ["fcntl", "resource", "pwd", "grp", "termios", "False"]


def test_every_module_of_the_base_install_imports(tmp_path: Path) -> None:
    code = f"""
import importlib
for name in {MODULES!r}:
    importlib.import_module(name)
print(len({MODULES!r}))
"""
    assert int(run(code, tmp_path)) == len(MODULES) > 100


def test_inference_trial_and_timing(models: Path, tmp_path: Path) -> None:
    code = f"""
import edgekit, numpy as np
with edgekit.load({str(models / "classifier.int8.tflite")!r}, verify=True) as runner:
    print(runner.infer({{"image": np.zeros((1, 8, 8, 1), np.float32)}})["digit"].shape)
    print(edgekit.benchmark([runner], seconds=0.01).host.cores >= 1)
"""
    assert run(code, tmp_path) == "(1, 5)\nTrue\n"


def test_isolated_says_what_the_system_lacks(models: Path, tmp_path: Path) -> None:
    code = f"""
import edgekit
from edgekit.errors import UnsupportedError
try:
    edgekit.load({str(models / "classifier.int8.tflite")!r}, isolated=True)
except UnsupportedError as error:
    print(error)
"""
    assert "memfd_create), which Linux has and this system has not" in run(code, tmp_path)


@pytest.mark.parametrize(
    "words",
    [
        ("doctor",),
        ("devices", "detect"),
        ("inspect", "classifier.int8.tflite"),
        ("inspect", "classifier.int8.onnx"),
        ("bench", "classifier.int8.tflite"),
    ],
    ids=" ".join,
)
def test_commands(models: Path, tmp_path: Path, words: tuple[str, ...]) -> None:
    if words[-1].endswith(".onnx"):
        needs.package("onnxruntime")
    given = [str(models / word) if "." in word else word for word in words]
    done = run(f"from edgekit.cli import main\nsys.exit(main({given!r}))\n", tmp_path)
    assert words[0] == "devices" or json.loads(done)["schema"].startswith("edgekit.")
