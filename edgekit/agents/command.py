"""Command: what the process runs that does an agent's work. It dies with the server, however that ends.

``python -m edgekit.agents.command PID WORD...`` does what ``edgekit WORD...`` does, for the process PID.
"""

import runpy
import sys

from edgekit.supervision import die_with


def main() -> None:
    """Tie this process to its parent, and be the command line."""
    parent = int(sys.argv.pop(1))
    if sys.platform == "linux":
        die_with(parent)
    runpy.run_module("edgekit", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
