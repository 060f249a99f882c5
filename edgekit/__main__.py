"""The program: ``edgekit``, and ``python -m edgekit``."""

import sys

from edgekit.interruption import INTERRUPTED, MESSAGE, interrupted, interruptible
from edgekit.supervision import supervised


def main() -> int:
    """Run the command line; gives its exit code, also when its import is interrupted or native code ends it."""
    return supervised(_main)


def _main() -> int:
    with interruptible():
        try:
            from edgekit.cli import main as command_line

            return command_line()
        except (Exception, KeyboardInterrupt) as error:
            if not interrupted(error):
                raise
            print(MESSAGE, file=sys.stderr)
            return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
