"""List the boards that are known, show one, or tell which this machine is."""

from __future__ import annotations

import argparse

from edgekit.cli.console import Console
from edgekit.device import detect_device, device_path, list_devices


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="list | show ID | detect")
    actions.add_parser("list", help="every board that is known")
    actions.add_parser("detect", help="the id of the board this runs on")
    actions.add_parser("show", help="a board's profile").add_argument("id", metavar="ID")


def run(args: argparse.Namespace, console: Console) -> int:
    if args.action == "list":
        for profile in list_devices():
            print(f"{profile.id:22} {profile.name}", file=console.out)
    elif args.action == "show":
        print(device_path(args.id).read_text("utf-8"), end="", file=console.out)
    else:
        print(detect_device().id, file=console.out)
    console.out.flush()
    return 0
