"""Hand-made documents of one model, as bench, compare, export and train write them."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from edgekit.bundle.contents import BundledFile, payload_digest

Documents = dict[str, dict[str, Any]]

SIZES = {
    "kws.keras": 318_400,
    "kws.float32.tflite": 98_300,
    "kws.int8.tflite": 31_200,
    "kws.int8.onnx": 36_900,
}


def hash_of(name: str) -> str:
    return sha256(name.encode()).hexdigest()


def artifact(name: str) -> dict[str, Any]:
    ending = name.rsplit(".", 1)[-1]
    return {
        "path": f"build/{name}",
        "sha256": hash_of(name),
        "format": ending,
        "scheme": "float32" if ending == "keras" else name.split(".")[1],
        "size_bytes": SIZES[name],
    }


def run(name: str, backend: str, p50_ms: float, threads: int = 1) -> dict[str, Any]:
    return {
        "artifact": artifact(name),
        "backend": {"name": backend, "version": "2.1"},
        "threads": threads,
        "delegate": None,
        "load_ms": 3.5,
        "first_ms": 0.9,
        "latency": {
            "count": 5000,
            "mean_ms": p50_ms * 1.02,
            "std_ms": p50_ms * 0.1,
            "min_ms": p50_ms * 0.9,
            "p50_ms": p50_ms,
            "p90_ms": p50_ms * 1.1,
            "p99_ms": p50_ms * 1.4,
            "max_ms": p50_ms * 3,
        },
        "throughput_per_s": 1000 / p50_ms,
        "peak_rss_bytes": 41_000_000,
    }


def candidate(
    name: str, accuracy: float, interval: tuple[float, float], verdict: str, reason: str
) -> dict[str, Any]:
    drop = round(0.9528 - accuracy, 10)
    return {
        "artifact": artifact(name),
        "backend": {"name": "litert", "version": "2.1"},
        "outputs": [
            {
                "name": "scores",
                "max_abs": 0.041,
                "max_abs_rel": 0.05,
                "rmse": 0.0034,
                "cosine": 0.9998,
                "sqnr_db": 34.25,
            }
        ],
        "task": {
            "kind": "classification",
            "output": "scores",
            "reference": 0.9528,
            "candidate": accuracy,
            "drop": drop,
            "drop_ci95": list(interval),
            "agreement": 0.9912,
            "flips": 22,
            "flipped": [3, 14, 15],
            "per_class": [
                {
                    "class": label,
                    "count": 250,
                    "reference": 0.95,
                    "candidate": 0.95 - part,
                    "drop": part,
                    "agreement": 0.99,
                }
                for label, part in enumerate((drop, -0.004, 4 * drop, 0.0))
            ],
            "rmse_reference": None,
            "rmse_candidate": None,
        },
        "verdict": verdict,
        "reasons": [reason],
        "warnings": [],
    }


def exported(name: str, float_ops: list[dict[str, str]]) -> dict[str, Any]:
    spec = {"name": "audio", "dtype": "int8", "shape": [1, 49, 10, 1], "quantization": None}
    return {
        **artifact(name),
        "path": name,
        "inputs": [spec],
        "outputs": [{**spec, "name": "scores", "shape": [1, 4]}],
        "recipe": {"scheme": name.split(".")[1], "calibration": {"samples": 200, "seed": 0}},
        "ops": {"int8": {"CONV_2D": 4, "DEPTHWISE_CONV_2D": 3}, "float32": {"SOFTMAX": 1}},
        "float_ops": float_ops,
        "warnings": [],
        "golden_sha256": None,
        "compressed_size_bytes": SIZES[name] // 2,
    }


NOISE = ["the CPU governor is 'ondemand', not 'performance'"]


def _state() -> dict[str, Any]:
    return {
        "device": "raspberry-pi-4",
        "machine": "aarch64",
        "userland_bits": 64,
        "kernel_machine": "aarch64",
        "system": "Linux 6.6",
        "cpu": "Cortex-A72",
        "cores": 4,
        "cpu_features": [],
        "governor": "ondemand",
        "governors": ["ondemand"],
        "temperature_c": 51.5,
        "throttled": False,
        "throttled_since_boot": None,
        "memory_total_bytes": 3_900_000_000,
        "memory_available_bytes": 3_100_000_000,
        "memory_limit_bytes": None,
        "load_1min": 0.2,
        "python": "3.11.2",
        "interpreters": {"ai-edge-litert": "2.1", "onnxruntime": "1.20"},
    }


def _host() -> dict[str, Any]:
    return {
        "schema": "edgekit.host/1",
        "host": _state(),
        "noise": NOISE,
        "advice": ["the CPU has no 8-bit dot products: int8 gains less than it does elsewhere"],
        "schemes": [
            {
                "format": "tflite",
                "scheme": "int8",
                "backend": "litert",
                "verdict": "works",
                "reason": "0.88 of float32's instructions",
            }
        ],
    }


def _evaluation() -> dict[str, Any]:
    return {
        "schema": "edgekit.evaluation/1",
        "artifact": artifact("kws.int8.tflite"),
        "backend": {"name": "litert", "version": "2.1"},
        "task": "classification",
        "output": "scores",
        "count": 2500,
        "accuracy": 0.9472,
        "top5_accuracy": None,
        "auc": 0.9871,
        "f1_macro": 0.94,
        "confusion": [[1200, 50], [82, 1168]],
        "per_class": [
            {
                "class": 0,
                "name": "yes",
                "count": 1250,
                "precision": 0.936,
                "recall": 0.96,
                "f1": 0.9479,
            },
            {
                "class": 1,
                "name": "no",
                "count": 1250,
                "precision": 0.9589,
                "recall": 0.9344,
                "f1": 0.9465,
            },
        ],
        "mae": None,
        "rmse": None,
    }


def _inspection() -> dict[str, Any]:
    spec = {"name": "audio", "dtype": "int8", "shape": [1, 49, 10, 1], "quantization": None}
    softmax = {"op": "SOFTMAX", "tensor": "scores", "reason": "the quantiser has no int8 version"}
    return {
        "schema": "edgekit.inspection/1",
        "artifact": artifact("kws.int8.tflite"),
        "compressed_size_bytes": 15_600,
        "metadata": None,
        "inputs": [spec],
        "outputs": [{**spec, "name": "scores", "shape": None}],
        "ops": {"float32": {"SOFTMAX": 1}, "int8": {"CONV_2D": 4}},
        "float_ops": [softmax],
        "macs": {
            "total": 2_656_768,
            "unknown_layers": 1,
            "layers": [{"op": "CONV_2D", "tensor": "stem", "macs": None}],
        },
        "weights": {"bytes": 22_604, "by_dtype": {"int8": 22_604}},
        "activations": {
            "sum_bytes": 98_000,
            "peak_arena_bytes": None,
            "estimate": True,
            "unknown_tensors": 0,
        },
        "shapes": {"reason": None},
        "delegate": {
            "partitions": 1,
            "outside": [{"op": "SOFTMAX", "tensor": "scores"}],
            "reason": None,
        },
        "loadable_by": {"ai-edge-litert": ["1.4.0", "2.1.0"], "tflite-runtime": []},
    }


def _shipped() -> dict[str, Any]:
    """What builds and bundles leave."""
    payload = payload_digest([BundledFile("kws.int8.tflite", "model", "1" * 64, 5)])
    file = {"path": "kws.int8.tflite", "role": "model", "sha256": "1" * 64, "size_bytes": 5}
    tried = {
        "path": "kws.int8.tflite",
        "verdict": "pass",
        "reason": "",
        "backend": {"name": "litert", "version": "2.3.0"},
        "error": 0.5,
        "infer_ms": 0.4,
    }
    return {
        "build": {
            "schema": "edgekit.build/1",
            "steps": {
                "export": {"given": {"model": "1"}, "outputs": {"kws.int8.tflite": "1" * 64}}
            },
        },
        "bundle": {
            "schema": "edgekit.bundle/1",
            "name": "kws",
            "verdict": "pass",
            "files": [file],
            "payload_sha256": payload,
        },
        "verification": {
            "schema": "edgekit.verification/1",
            "name": "kws",
            "signed": False,
            "problems": ["kws.int8.tflite: was changed"],
            "payload_sha256": payload,
            "verdict": "fail",
        },
        "selftest": {
            "schema": "edgekit.selftest/1",
            "name": "kws",
            "machine": "aarch64",
            "problems": [],
            "files": [tried],
            "verdict": "pass",
            "best": "kws.int8.tflite",
        },
        "installation": {
            "schema": "edgekit.installation/1",
            "folder": "models/kws",
            "active": "1",
            "before": None,
            "removed": [],
        },
    }


def _boards() -> dict[str, Any]:
    return {
        "schema": "edgekit.boards/1",
        "files": ["kws.int8.tflite"],
        "boards": [
            {
                "host": "pi@raspberrypi.local",
                "kind": {
                    "device": "raspberry-pi-4b",
                    "machine": "aarch64",
                    "bits": 64,
                    "python": "3.13.5",
                    "libc": "glibc 2.41",
                    "emulated": False,
                },
                "steps": [{"name": "compare", "code": 0, "seconds": 1.5}],
                "documents": ["boards/pi@raspberrypi.local/drift.json"],
                "failure": None,
                "exit_code": 0,
            }
        ],
        "exit_code": 0,
    }


def _instructions() -> dict[str, Any]:
    counted = {
        "artifact": artifact("kws.int8.tflite"),
        "failed": None,
        "backend": {"name": "litert", "version": "2.3.0"},
        "load": 71_000_000,
        "first": 139_250,
        "infer": 86_208,
    }
    none = dict.fromkeys(("backend", "load", "first", "infer"))
    died = {"artifact": artifact("kws.int8.onnx"), "failed": "died by SIGILL", **none}
    return {
        "schema": "edgekit.instructions/1",
        "device": "raspberry-pi-4b",
        "processor": "cortex-a72",
        "bits": 64,
        "python": "3.11",
        "files": [counted, died],
    }


def _ledger() -> dict[str, Any]:
    ran = {
        "file": "kws.int8.tflite",
        "machine": "x86",
        "runtime": "litert",
        "system": "x86_64, Python 3.11.2, glibc 2.36",
        "backend": {"name": "litert", "version": "2.3.0"},
        "verdict": "pass",
        "reasons": [],
        "flips": 3,
        "max_abs": 0.25,
        "first_flips": 0,
        "first_max_abs": 0.0,
        "first_steps": 0,
        "exit_code": 0,
    }
    other = {"machine": "raspberry-pi-5", "flips": 4, "first_flips": 1, "first_steps": 2}
    figures = ("flips", "max_abs", "first_flips", "first_max_abs", "first_steps")
    none = dict.fromkeys((*figures, "system", "backend", "verdict"))
    died = {"machine": "armhf", "reasons": ["ai-edge-litert has no wheel"]}
    return {
        "schema": "edgekit.ledger/1",
        "reference": _drift()["reference"],
        "budget": _drift()["budget"],
        "files": [artifact("kws.int8.tflite")],
        "cells": [ran, {**ran, **other, "first_max_abs": 0.0078}, {**ran, **none, **died}],
        "verdict": "pass",
    }


def _bench() -> dict[str, Any]:
    return {
        "schema": "edgekit.bench/1",
        "host": _state(),
        "noise": NOISE,
        "runs": [
            run("kws.keras", "keras", 1.1148),
            run("kws.float32.tflite", "litert", 0.1483),
            run("kws.int8.tflite", "litert", 0.04207),
        ],
    }


def _drift() -> dict[str, Any]:
    original = artifact("kws.keras")
    del original["scheme"]
    return {
        "schema": "edgekit.drift/1",
        "reference": {
            **original,
            "path": "kws.keras",
            "backend": {"name": "keras", "version": "3.12"},
            "accuracy": 0.9528,
            "samples": 2500,
            "golden_sha256": hash_of("golden"),
        },
        "budget": {"max_accuracy_drop": 0.01, "min_agreement": None, "min_sqnr_db": None},
        "candidates": [
            candidate("kws.int8.tflite", 0.9500, (0.0004, 0.0052), "pass", "It is inside."),
            candidate("kws.int8.onnx", 0.9401, (0.0079, 0.0175), "fail", "It is above."),
            candidate("kws.float32.tflite", 0.9528, (0.0, 0.0), "pass", "It is equal."),
        ],
    }


def _manifest() -> dict[str, Any]:
    original = artifact("kws.keras")
    del original["scheme"]
    softmax = {"op": "SOFTMAX", "tensor": "scores", "reason": "the quantiser has no int8 version"}
    return {
        "schema": "edgekit.manifest/1",
        "source": {**original, "path": "kws.keras", "flavour": "keras"},
        "versions": {"tensorflow": "2.21.0", "edgekit": "0.1.0"},
        "files": [
            exported("kws.float32.tflite", []),
            exported("kws.int8.onnx", [softmax]),
            {**exported("kws.int8.tflite", []), "warnings": ["does not run <here>"]},
        ],
        "skipped": [{"format": "onnx", "scheme": "int16x8", "reason": "ONNX has no such scheme"}],
    }


def _training() -> dict[str, Any]:
    return {
        "schema": "edgekit.training/1",
        "model": {"path": "kws.keras", "sha256": hash_of("kws.keras"), "parameters": 23_756},
        "recipe": {"model": {"name": "ds_cnn", "width": 1.0}, "training": {"epochs": 12}},
        "splits": {"train": 20_000, "validation": 2_000, "test": 2_500},
        "history": [
            {
                "epoch": epoch,
                "loss": 1.6 / epoch + 0.1,
                "accuracy": 0.97 - 0.5 / epoch,
                "val_loss": 1.5 / epoch + 0.17,
                "val_accuracy": 0.96 - 0.45 / epoch,
                "learning_rate": 0.002 * (12 - epoch) / 12,
                "seconds": 8.4,
            }
            for epoch in range(1, 13)
        ],
        "loss": "sparse_categorical_crossentropy",
        "monitor": "val_accuracy",
        "best_epoch": 12,
        "stopped": False,
        "validation": {"loss": 0.295, "accuracy": 0.9541},
        "test": {"loss": 0.301, "accuracy": 0.9528},
        "validation_accuracy": 0.9541,
        "test_accuracy": 0.9528,
        "seconds": 101.2,
    }


def _trial(number: int, accuracy: float, size: int, width: float) -> dict[str, Any]:
    name = "kws.keras" if number == 1 else f"trial-{number:04}.keras"
    return {
        "number": number,
        "state": "complete",
        "parameters": {"model.width": width},
        "values": {"int8_accuracy": accuracy, "size_bytes": size},
        "validation_accuracy": [0.5, accuracy],
        "reason": None,
        "seconds": 8.5,
        "model": {"path": name, "sha256": hash_of(name), "parameters": 23_756},
        "files": [],
    }


def _tuning() -> dict[str, Any]:
    pruned = {**_trial(3, 0.0, 0, 0.5), "state": "pruned", "values": None, "model": None}
    return {
        "schema": "edgekit.tuning/1",
        "objectives": [
            {"name": "int8_accuracy", "direction": "maximize"},
            {"name": "size_bytes", "direction": "minimize"},
        ],
        "search": {"model.width": {"low": 0.25, "high": 2.0, "log": True}},
        "seed": 0,
        "trials": [
            _trial(0, 0.93, 14_500, 0.5),
            _trial(1, 0.95, 31_200, 1.0),
            _trial(2, 0.92, 31_200, 1.0),
            pruned,
        ],
        "front": [0, 1],
    }


def _diff() -> dict[str, Any]:
    return {
        "schema": "edgekit.diff/1",
        "first": artifact("kws.float32.tflite"),
        "second": artifact("kws.int8.tflite"),
        "same_bytes": False,
        "ends": ["input 'x' is in the first file alone"],
        "operators": [{"op": "CONV_2D", "dtype": "int8", "first": 0, "second": 2}],
        "layers": [
            {
                "op": "CONV_2D",
                "first": "conv/Relu",
                "second": "conv/Relu",
                "first_dtype": "float32",
                "second_dtype": "int8",
                "grid": False,
                "weights": "different",
                "weights_max_abs": 0.01,
                "weights_sqnr_db": 40.5,
                "bias_max_abs": None,
            }
        ],
        "only_first": [],
        "only_second": [],
        "samples": 40,
        "outputs": [
            {"name": "scores", "equal": False, "max_abs": 0.1, "sqnr_db": 30.0, "agreement": 0.95}
        ],
    }


def _diagnosis() -> dict[str, Any]:
    layer = {
        "op": "CONV_2D",
        "dtype": "int8",
        "values": 40,
        "equal": False,
        "weights_db": 40.0,
        "rounding_db": 9.0,
        "clipped": 0.25,
        "used": 1.5,
        "max_abs": 3.0,
    }
    rows = [
        {**layer, "number": n, "tensor": f"conv_{n}/Relu", "layer": f"conv_{n}"} for n in range(3)
    ]
    return {
        "schema": "edgekit.diagnosis/1",
        "file": artifact("kws.int8.tflite"),
        "reference": "kws.float32.tflite",
        "samples": 40,
        "verdict": "faulty",
        "output_db": 9.0,
        "agreement": 0.75,
        "causes": [
            {
                "kind": "range_too_narrow",
                "severity": "fault",
                "layer": "conv_1",
                "tensor": "conv_1/Relu",
                "sentence": "The range is too narrow: 25 % of the values are clipped.",
                "cure": "Calibrate anew.",
                "share": 0.9,
                "numbers": {"clipped": 0.25},
            }
        ],
        "layers": {
            "file": "kws.int8.tflite",
            "reference": "kws.float32.tflite",
            "samples": 40,
            "layers": [
                {**row, "accumulated_db": 30.0 - n, "own_db": 40.0} for n, row in enumerate(rows)
            ],
            "unmatched": [],
            "output_db": 9.0,
            "weights_only_db": 30.0,
            "activations_only_db": 9.5,
        },
    }


def _healing() -> dict[str, Any]:
    measured = {
        "output_db": 9.0,
        "agreement": 0.75,
        "accuracy": None,
        "drop": None,
        "size_bytes": SIZES["kws.int8.tflite"],
        "p50_ms": 0.5,
    }
    return {
        "schema": "edgekit.healing/1",
        "reference": "kws.float32.tflite",
        "file": artifact("kws.int8.tflite"),
        "healed": artifact("kws.int8.tflite"),
        "calibration": 80,
        "samples": 40,
        "remedies": [
            {
                "name": "ranges estimated again",
                "kept": True,
                "before_db": 9.0,
                "after_db": 30.0,
                "reason": "",
            }
        ],
        "before": measured,
        "after": {**measured, "output_db": 30.0},
    }


@pytest.fixture
def documents() -> Documents:
    """Valid documents that belong together, for a test to change."""
    made = {"bench": _bench(), "drift": _drift(), "manifest": _manifest(), "training": _training()}
    made["tuning"] = _tuning()
    return deepcopy(made)


@pytest.fixture
def every(documents: Documents) -> Documents:
    """One valid document of each kind, all of one model."""
    return {
        **documents,
        **deepcopy({"evaluation": _evaluation(), "inspection": _inspection(), "host": _host()}),
        "diff": _diff(),
        "diagnosis": _diagnosis(),
        "healing": _healing(),
        "boards": _boards(),
        "ledger": _ledger(),
        "instructions": _instructions(),
        **_shipped(),
    }


@pytest.fixture
def digest() -> Callable[[str], str]:
    """The hash that the documents give a file, by its name."""
    return hash_of


@pytest.fixture
def write(tmp_path: Path) -> Callable[[Documents], list[Path]]:
    """Writes each document to ``<key>.json`` and gives the paths."""

    def to_files(documents: Documents) -> list[Path]:
        paths = []
        for name, content in documents.items():
            path = tmp_path / f"{name}.json"
            path.write_text(json.dumps(content), "utf-8")
            paths.append(path)
        return paths

    return to_files
