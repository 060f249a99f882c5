"""List the known boards, run builds over SSH, emulate a board, or count the instructions of an inference."""

from __future__ import annotations

import argparse

from edgekit.cli import devices_count, devices_emulate, devices_run, devices_wheels
from edgekit.cli.console import Console
from edgekit.device import detect_device, device_path, list_devices

EXAMPLE = "edgekit devices show raspberry-pi-4b"

# Actions with options of their own, each in its file.
_ACTIONS = {
    "run": (devices_run, "run a build on boards, over SSH"),
    "emulate": (devices_emulate, "emulate a board on this machine, with its own SSH server"),
    "count": (devices_count, "count the instructions of an inference on an emulated processor"),
    "wheels": (devices_wheels, "fetch what a board without a network installs"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(
        dest="action",
        required=True,
        metavar="list | show | detect | run | emulate | count | wheels",
    )
    actions.add_parser("list", help="list all known boards: id and name")
    actions.add_parser("detect", help="print the id of the board that this runs on")
    show = actions.add_parser("show", help="print the profile of a board, as TOML")
    show.add_argument(
        "id",
        metavar="ID",
        help="a board's id from 'edgekit devices list', or the path of a profile (.toml)",
    )
    for name, (module, help) in _ACTIONS.items():
        inner = actions.add_parser(
            name, help=help, description=module.__doc__, epilog=f"example:\n  {module.EXAMPLE}"
        )
        module.add_arguments(inner)


def run(args: argparse.Namespace, console: Console) -> int:
    if args.action in _ACTIONS:
        code: int = _ACTIONS[args.action][0].run(args, console)
        return code
    if args.action == "list":
        for profile in list_devices():
            console.write(f"{profile.id:22} {profile.name}\n")
    elif args.action == "show":
        console.write(device_path(args.id).read_text("utf-8"))
    else:
        console.write(f"{detect_device().id}\n")
    return 0
