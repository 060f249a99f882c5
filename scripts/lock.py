"""Makes the hash-pinned locks anew with uv. Plain pip installs them."""

import subprocess
import tempfile
from pathlib import Path

from environments import LOCKS, Lock

ROOT = Path(__file__).resolve().parent.parent


def make(lock: Lock) -> None:
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as overrides:
        overrides.write("\n".join(lock.overrides))
        overrides.flush()
        words = ["uv", "pip", "compile", "--quiet", "--universal", "--generate-hashes"]
        words += ["--no-header", "--no-annotate", "--python-version", lock.python]
        words += ["--override", overrides.name]
        words += ["--resolution", "lowest-direct" if lock.lowest else "highest"]
        words += ["--constraint", f"locks/{lock.within}.txt"] if lock.within else []
        words += [f"--extra={extra}" for extra in lock.extras]
        words += ["--output-file", f"locks/{lock.name}.txt", "pyproject.toml"]
        subprocess.run(words, cwd=ROOT, check=True)


if __name__ == "__main__":
    for each in LOCKS:
        make(each)
