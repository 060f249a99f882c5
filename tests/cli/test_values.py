"""What options take: one or several names, shares in per cent or as numbers."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import pytest

from edgekit.cli import command
from edgekit.cli.export_recipe import recipe_of
from edgekit.cli.values import (
    duration,
    names,
    number,
    share,
    thread_counts,
    whole_number,
    whole_numbers,
)
from edgekit.recipe import ExportRecipe, Recipe
from edgekit.runtime.host import usable_cores
from edgekit.shares import Share


def recipe(*words: str) -> ExportRecipe:
    parser, _ = command("export")
    return recipe_of(parser.parse_args(["m.keras", "-o", "out", *words]), Recipe()).export


def test_names_with_commas_or_repeated_mean_the_same() -> None:
    repeated = recipe("--quantize", "float32", "--quantize", "int8", "--format", "tflite")
    assert recipe("--quantize", "float32,int8", "--format=tflite") == repeated
    assert recipe("--quantize", "float32, int8", "--format", "tflite") == repeated
    both = recipe("--quantize", "int8,dynamic", "--quantize", "float32", "--format", "onnx,tflite")
    assert both.schemes == ("int8", "dynamic", "float32")
    assert both.formats == ("onnx", "tflite")
    targets = recipe("--target", "tflite-runtime==2.14,ai-edge-litert==2.3").targets
    assert targets == ("tflite-runtime==2.14", "ai-edge-litert==2.3")


def test_files_are_pairs() -> None:
    wanted = (("int8", "tflite"), ("float32", "onnx"))
    assert recipe("--file", "int8.tflite,float32.onnx").pairs == wanted
    assert recipe("--file", "int8.tflite", "--file", "float32.onnx").pairs == wanted


def test_without_samples_the_float_file_is_made() -> None:
    assert recipe().pairs == (("float32", "tflite"),)
    assert recipe("--format", "onnx").pairs == (("float32", "onnx"),)
    with_samples = (("float32", "tflite"), ("int8", "tflite"))
    assert recipe("--calibration", "s.npz").pairs == with_samples
    assert recipe("--qat").pairs == with_samples


def test_pruning_in_per_cent() -> None:
    assert recipe("--prune", "80%").prune == recipe("--prune", "0.8").prune
    prune = recipe("--prune", "50%", "--prune-channels", "12.5 %").prune
    assert prune is not None
    assert (prune.sparsity, prune.channels) == (0.5, 0.125)


def test_values() -> None:
    assert names("a") == ["a"]
    assert names(" a , b") == ["a", "b"]
    assert isinstance(share("30%"), Share)
    assert share("0.3") == 0.3
    assert (number("1e-3"), whole_number("12")) == (0.001, 12)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (names, ""),
        (names, "a,,b"),
        (share, "1 percent"),
        (number, "1,5"),
        (whole_number, "1.5"),
        (duration, "0s"),
        (duration, "5d"),
        (thread_counts, "1,"),
        (whole_numbers, "a"),
    ],
)
def test_what_is_no_value(kind: Callable[[str], Any], text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="expected"):
        kind(text)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("30m", 1800), ("1.5h", 5400), ("0.5 s", 0.5)]
)
def test_times(text: str, seconds: float) -> None:
    assert duration(text) == seconds


def test_all_threads_are_those_of_this_program() -> None:
    assert thread_counts("1,3,all") == [1, 3, usable_cores()]
    assert whole_numbers("1, 8,32") == [1, 8, 32]
