"""List the known boards, show the profile of one, or identify the board that this runs on."""

from __future__ import annotations

import argparse

from edgekit.cli.console import Console
from edgekit.device import detect_device, device_path, list_devices

EXAMPLE = "edgekit devices show raspberry-pi-4b"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="list | show ID | detect")
    actions.add_parser("list", help="list all known boards: id and name")
    actions.add_parser("detect", help="print the id of the board that this runs on")
    show = actions.add_parser("show", help="print the profile of a board, as TOML")
    show.add_argument(
        "id", metavar="ID", help="id of the board, as 'edgekit devices list' prints it"
    )


def run(args: argparse.Namespace, console: Console) -> int:
    if args.action == "list":
        for profile in list_devices():
            console.write(f"{profile.id:22} {profile.name}\n")
    elif args.action == "show":
        console.write(device_path(args.id).read_text("utf-8"))
    else:
        console.write(f"{detect_device().id}\n")
    return 0
