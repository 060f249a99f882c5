"""The machines of a ledger by their names: this one, emulated boards, and those that SSH reaches."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from importlib.util import find_spec

from edgekit.boards.deploy import Setup
from edgekit.boards.emulate import emulated
from edgekit.boards.here import here, is_x86
from edgekit.boards.runtimes import Runtime
from edgekit.boards.userland import userland
from edgekit.device import list_devices, load_device
from edgekit.errors import EdgekitError, UsageError

Tell = Callable[[str], None]

HERE, BITS_32 = "x86", "armhf"
# The board whose 32-bit system `BITS_32` is.
_BOARD_32 = "raspberry-pi-3b"
_MODULES = {"ai-edge-litert": "ai_edge_litert", "tflite-runtime": "tflite_runtime"}


def check_names(names: Sequence[str]) -> None:
    """Refuse names that are none.

    Raises:
        UsageError: one stands there twice, is an option, or is not this machine.
    """
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"--on: received {name} {names.count(name)} times, expected it once.")
        if not name or name.startswith("-") or name == "desktop":
            raise UsageError(
                f"--on: received {name!r}, expected {HERE} (this machine), the id of a board, {BITS_32}, or a host "
                "as 'ssh' knows it."
            )
    if HERE in names and platform.machine() != "x86_64":
        raise UsageError(
            f"--on: received {HERE}, which is this machine where it is x86_64; it is {platform.machine()}. Leave it "
            "out."
        )


@contextmanager
def machines(
    names: Sequence[str], setup: Setup, archive: str | None, tell: Tell
) -> Iterator[tuple[dict[str, Setup], dict[str, EdgekitError]]]:
    """Those machines, up for as long as the block runs.

    Args:
        names: see `check_names`.
        setup: of machines that SSH reaches.

    Yields:
        How each is set up, and why one cannot be, by name.
    """
    boards = {profile.id for profile in list_devices()}
    found, failed = {}, {}
    with ExitStack() as stack:
        for name in names:
            try:
                if name == HERE:
                    found[name] = replace(setup, here=stack.enter_context(here()))
                elif name in boards or name == BITS_32:
                    profile = load_device(_BOARD_32 if name == BITS_32 else name)
                    if is_x86(profile):
                        found[name] = replace(setup, here=stack.enter_context(here(profile)))
                        continue
                    which = userland(32 if name == BITS_32 else 64, None)
                    board = stack.enter_context(emulated(profile, which, archive, tell, name))
                    found[name] = replace(setup, ssh_config=board.ssh_config)
                else:
                    found[name] = setup
            except UsageError:
                raise
            # The others are asked all the same.
            except EdgekitError as error:
                failed[name] = error
                tell(f"{name}: {error}")
        yield found, failed


def setup_for(setup: Setup, runtime: Runtime) -> Setup:
    """With this machine's own Python, where it is the machine and has the interpreter."""
    place = setup.here
    if place is None or setup.python is not None or not _installed(runtime):
        return setup
    return replace(setup, python=place.python)


def _installed(runtime: Runtime) -> bool:
    if runtime.package is None:
        return any(find_spec(module) for module in _MODULES.values())
    return find_spec(_MODULES.get(runtime.package, runtime.package)) is not None
