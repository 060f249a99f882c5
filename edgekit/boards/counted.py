"""Run under QEMU with `counter.c`: loads files one by one and infers, marking each place by a system call.

It needs the base install alone; one thread, and the same inputs each time.
"""

from __future__ import annotations

import gc
import json
import os
import sys

from edgekit.errors import EdgekitError, one_line

# Inferences before the ones that count: caches of Python and of the interpreter fill in them.
WARM, MEASURED = 3, 5
# Marks of a file: before loading, after it, after the first inference, after each of the others.
MARKS = 3 + WARM + MEASURED


def main(files: list[str]) -> int:
    """Prints a line of JSON a file: ``{"failed": why or null, "backend": [name, version]}``."""
    from edgekit.runtime import load
    from edgekit.runtime.random_inputs import random_inputs

    # A collection at a moment of its own would be counted with the inference that it fell into.
    gc.disable()
    for file in files:
        backend = None
        try:
            _mark()
            # Who times a file trusts it; a trial would be another process, which is not counted.
            with load(file, threads=1, verify=False) as runner:
                inputs = random_inputs(runner)
                _mark()
                for _ in range(1 + WARM + MEASURED):
                    runner.infer(inputs)
                    _mark()
                backend = (runner.backend.name, runner.backend.version)
            failed = None
        except EdgekitError as error:
            failed = one_line(error)
        print(json.dumps({"failed": failed, "backend": backend}), flush=True)
    return 0


def _mark() -> None:
    os.getsid(0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
