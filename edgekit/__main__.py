"""The program: ``edgekit``, and ``python -m edgekit``."""

import sys

from edgekit.interruption import (
    INTERRUPTED,
    MESSAGE,
    hear,
    hear_no_more,
    interrupted,
    interruptible,
)
from edgekit.supervision import supervised


def main() -> int:
    """Run the command line; gives its exit code, also when its import is interrupted or native code ends it."""
    return supervised(_main)


def _main() -> int:
    with interruptible():
        try:
            hear()
            from edgekit.cli import main as command_line

            code = command_line()
            hear_no_more()
            return code
        except (Exception, KeyboardInterrupt) as error:
            if not interrupted(error):
                raise
            hear_no_more()
            print(MESSAGE, file=sys.stderr)
            return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
