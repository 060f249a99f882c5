"""Options that several commands share."""

from __future__ import annotations

import argparse
from contextlib import ExitStack

from edgekit.cli.values import json_path, path, thread_counts, whole_number
from edgekit.detection import Decoder
from edgekit.errors import UsageError
from edgekit.recipe import ExportRecipe, read_recipe
from edgekit.runtime import load
from edgekit.runtime.backends import BACKENDS
from edgekit.runtime.runner import Runner
from edgekit.tasks import ANY_OUTPUT, CHOICES, parse_tasks

MODEL_HELP = ".keras or .h5 file, or SavedModel folder"
BUNDLE_HELP = "folder or .tar.xz file that 'edgekit build' made"
FILE_HELP = ".tflite or .onnx file, or Keras model"


def add_samples(parser: argparse.ArgumentParser, use: str, otherwise: str | None = None) -> None:
    """``--samples``: what is judged or timed; required unless something serves `otherwise`."""
    default = f" (default: {otherwise})" if otherwise else ""
    parser.add_argument(
        "--samples",
        required=otherwise is None,
        metavar="SAMPLES",
        help=f"{use}: a file, a folder, or a recipe, whose test samples are used{default}",
    )


def add_out(
    parser: argparse.ArgumentParser, metavar: str, help: str, default: str | None = None
) -> None:
    """``-o/--out``: where the files go; required where it has no default."""
    parser.add_argument(
        "-o",
        "--out",
        type=path,
        required=default is None,
        default=default,
        metavar=metavar,
        help=help,
    )


def add_json(parser: argparse.ArgumentParser) -> None:
    """``--json``, and ``--overwrite``, which it heeds."""
    parser.add_argument(
        "--json",
        type=json_path,
        metavar="FILE",
        help="write the result as JSON to FILE, or to stdout if FILE is '-' (default: stdout, as text "
        "if it is a terminal)",
    )
    add_overwrite(parser)


def add_overwrite(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--overwrite", action="store_true", help="replace existing files (default: refuse)"
    )


def add_trust_code(parser: argparse._ActionsContainer) -> None:
    parser.add_argument(
        "--trust-code",
        action="store_true",
        help="run code that a Keras file contains, such as Lambda layers, and report it; also lifts "
        "the size limits of such files (default: refuse the file)",
    )


def add_import(parser: argparse._ActionsContainer) -> None:
    """``--import``, as `imports` in the arguments."""
    parser.add_argument(
        "--import",
        dest="imports",
        action="append",
        default=[],
        metavar="FILE.py",
        help="file of Python code that defines a Keras model's custom layers; it runs before the model is "
        "loaded; may be repeated (default: none)",
    )


def add_verify(parser: argparse._ActionsContainer) -> None:
    """``--no-verify``, as `verify` in the arguments."""
    parser.add_argument(
        "--no-verify",
        dest="verify",
        action="store_false",
        help="load .tflite and .onnx files without trying them in a child process first",
    )


def add_signature(parser: argparse._ActionsContainer, use: str = "run") -> None:
    parser.add_argument(
        "--signature",
        metavar="NAME",
        help=f"signature to {use}, if the model has several (default: serving_default)",
    )


def add_task(parser: argparse.ArgumentParser) -> None:
    """``--task``: what outputs are for, as `edgekit.tasks.parse_tasks` reads it."""
    parser.add_argument(
        "--task",
        action="append",
        default=[],
        metavar="[OUTPUT=]TASK",
        help=f"what the model, or one of its outputs, is for: {', '.join(CHOICES)}; may be repeated "
        "(default: what the model stores, or what labels and outputs suggest)",
    )


def add_labels(parser: argparse.ArgumentParser) -> None:
    """``--labels``, as `edgekit.samples.targets.with_labels` reads it."""
    parser.add_argument(
        "--labels",
        metavar="LABELS",
        help="labels in a file of their own: a folder of PNG masks named like the images, COCO "
        "annotations (.json), or an .npz with 'y' or 'y/<output>' (default: the samples' own "
        "labels)",
    )


def add_recipe_of_tasks(parser: argparse.ArgumentParser) -> None:
    """``--recipe``, of which `tasks_of` reads what outputs are for."""
    parser.add_argument(
        "--recipe",
        metavar="RECIPE.toml",
        help="recipe whose [export.tasks] and [export.decoder] describe the outputs (default: what "
        "the model stores)",
    )


def tasks_of(args: argparse.Namespace) -> tuple[dict[str, str], Decoder | None]:
    """What outputs are for, by ``--task`` and ``--recipe``, and how they become boxes."""
    asked = parse_tasks(args.task)
    recipe = read_recipe(args.recipe).export if args.recipe else ExportRecipe()
    return asked if ANY_OUTPUT in asked else {**recipe.tasks, **asked}, recipe.decoder


def add_executor(parser: argparse._ActionsContainer, here: str, what: str) -> None:
    """``--executor`` and ``--address``: where `what` runs; `here` is the choice that needs no cluster."""
    parser.add_argument(
        "--executor",
        choices=(here, "ray"),
        default=here,
        help=f"where {what}: '{here}' on this machine, or a 'ray' cluster (default: {here})",
    )
    parser.add_argument(
        "--address",
        metavar="HOST:PORT",
        help="address of the Ray cluster (default: start one on this machine)",
    )


def add_runner(parser: argparse.ArgumentParser, several: bool = False) -> None:
    """Options that choose how files are run; with `several` numbers of threads where one is not enough."""
    group = parser.add_argument_group("how files are run")
    group.add_argument(
        "--threads",
        type=thread_counts if several else whole_number,
        metavar="N,..." if several else "N",
        help="threads per inference"
        + (", or several numbers to time, such as 1,2,all" if several else "")
        + " (default: 1, or the number in the profile of --device)",
    )
    group.add_argument(
        "--backend",
        metavar="NAME",
        help=f"interpreter: {', '.join(BACKENDS)} (default: the first installed that runs the file)",
    )
    group.add_argument(
        "--delegate",
        metavar="NAME",
        help="'none', 'reference' (TFLite's reference kernels), the shared library of a TFLite delegate, or an "
        "execution provider of onnxruntime (default: that of the interpreter)",
    )
    group.add_argument(
        "--delegate-option",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="option for the delegate; may be repeated (default: none)",
    )
    group.add_argument(
        "--device",
        metavar="ID",
        help="board whose profile sets threads and delegate: an id from 'edgekit devices list', or "
        "the path of your own profile (.toml) (default: none, or for 'bench' this board)",
    )
    group.add_argument(
        "--weight-cache",
        action="store_true",
        help="keep packed weights in the user's cache folder, for a faster next start",
    )
    add_trust_code(group)
    add_import(group)
    add_verify(group)


def add_key(parser: argparse.ArgumentParser) -> None:
    """Who must have signed a bundle."""
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        "--public-key",
        metavar="PUBLIC.pem",
        help="public key or certificate of the required signer, or certificate of an authority that "
        "must vouch for the signer (default: none, which needs --allow-unsigned)",
    )
    group.add_argument(
        "--allow-unsigned",
        action="store_true",
        help="check only hashes, which do not show who made the bundle (default: refuse a bundle "
        "without --public-key)",
    )


def add_identity(parser: argparse.ArgumentParser) -> None:
    """What opens a sealed bundle."""
    parser.add_argument(
        "--identity",
        metavar="FILE",
        help="file with the age identity that opens a sealed bundle, or keyring:NAME for a key in the "
        "kernel's keyring (default: the identity in the variable EDGEKIT_IDENTITY)",
    )


def add_map(parser: argparse.ArgumentParser) -> None:
    """What inputs and outputs are called in the files, where that is not what the original calls them."""
    parser.add_argument(
        "--map",
        action="append",
        default=[],
        metavar="ORIGINAL=NAME",
        help="the files' name for an input or output of the original model; may be repeated (default: "
        "the same name, or the only match by shape)",
    )


def load_runner(args: argparse.Namespace, path: str, threads: int | None = None) -> Runner:
    """A runner for `path`, as `add_runner`'s options say, but for `threads` where that is given."""
    return load(
        path,
        backend=args.backend,
        threads=args.threads if threads is None else threads,
        delegate=args.delegate,
        delegate_options=pairs("--delegate-option", args.delegate_option),
        device=args.device,
        weight_cache=args.weight_cache,
        trust_code=args.trust_code,
        imports=args.imports,
        verify=args.verify,
    )


def pairs(option: str, given: list[str]) -> dict[str, str]:
    """What an option that may be repeated says, as ``KEY=VALUE`` each time."""
    found = {}
    for pair in given:
        key, separator, value = pair.partition("=")
        if not key or not separator:
            raise UsageError(f"{option}: received {pair!r}, expected KEY=VALUE.")
        found[key] = value
    return found


def load_all(args: argparse.Namespace, stack: ExitStack) -> list[Runner]:
    """A runner for each of ``args.files``; `stack` closes them."""
    return [stack.enter_context(load_runner(args, path)) for path in args.files]
