"""Inspections in words: what a file holds, costs and runs on, line by line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from edgekit.inspection.inspection import DeclaredTensor, Inspection
from edgekit.manifest import float_share
from edgekit.report import units

_SATURATES = {
    True: "its int8 sums on x86 without VNNI; edgekit runs the file in onnxruntime's exact mode there",
    False: "its int8 sums on x86 without VNNI, in onnxruntime's exact mode too",
}


def inspection_lines(found: Inspection) -> Iterator[tuple[str, str]]:
    """(what it is about, text); several lines may be about one thing."""
    size, packed = found.artifact.size_bytes, found.compressed_size_bytes
    yield "size", f"{size:,} bytes, {packed:,} compressed by xz"
    for file in found.external_files:
        held = (
            "not there" if file.size_bytes is None else f"{file.size_bytes:,} bytes, counted above"
        )
        yield "external", f"{file.path}: {held}"
    if found.ir_version is not None:
        opsets = ", ".join(f"{domain} {version}" for domain, version in found.opsets.items())
        yield "made for", f"IR version {found.ir_version}, opset {opsets or 'unknown'}"
    if len(found.signatures) > 1:
        for way in found.signatures:
            ends = (", ".join(names) or "none" for names in (way.inputs, way.outputs))
            yield "signature", f"{way.name}: {' to '.join(ends)}"
    for side, tensors in (("input", found.inputs), ("output", found.outputs)):
        for tensor in tensors:
            yield side, _declared(tensor)
    for dtype, counts in found.ops.items():
        yield "ops", f"{dtype}: {', '.join(f'{n} {op}' for op, n in counts.items())}"
    if found.float_ops:
        yield "float", float_share(found.artifact.scheme or "", found.ops, len(found.float_ops))
    for left in found.float_ops:
        yield "float", f"{left.op} ({left.tensor}): {left.reason}"
    for each in found.saturating:
        yield "saturates", f"{each.op} ({each.tensor}): {_SATURATES[each.cured]}"
    for fallback in found.fallbacks:
        yield "fallback", fallback
    left_out = units.plural(found.macs.unknown_layers, "layer")
    unknown = f", {left_out} unknown" if found.macs.unknown_layers else ""
    yield "MACs", f"{found.macs.total:,}{unknown}"
    if found.shapes.reason:
        yield "shapes", f"unknown: {found.shapes.reason}"
    held = ", ".join(f"{dtype} {n:,}" for dtype, n in found.weights.by_dtype.items())
    yield "weights", f"{found.weights.bytes:,} bytes: {held}"
    memory = found.activations
    peak = "unknown" if memory.peak_arena_bytes is None else f"{memory.peak_arena_bytes:,}"
    yield "activations", f"{memory.sum_bytes:,} bytes, arena about {peak} (estimate)"
    yield "XNNPACK", _delegate(found)
    yield from _interpreters(found)


def _interpreters(found: Inspection) -> Iterator[tuple[str, str]]:
    """Which versions run the file, which may, which do not, and why."""
    for name, runs in found.loadable_by.items():
        maybe = found.unmeasured_by.get(name, ())
        yield "runs on", f"{name} {_versions(runs) or ('none measured' if maybe else 'none')}"
        if maybe:
            yield "unmeasured", f"{name} {_versions(maybe)}: not all of it was tried there"
    for obstacle in found.obstacles:
        what = f"{obstacle.op} ({obstacle.tensor}): " if obstacle.op else ""
        about = "fails" if obstacle.measured else "unmeasured"
        where = f"{obstacle.interpreter} {_versions(obstacle.versions)}"
        yield about, f"{where}: {what}{obstacle.reason}"


def _versions(versions: Sequence[str]) -> str:
    if len(versions) < 2:
        return "".join(versions)
    return f"{versions[0]} to {versions[-1]} ({len(versions)})"


def _declared(tensor: DeclaredTensor) -> str:
    shape = None if tensor.shape is None else list(tensor.shape)
    return f"{tensor.name} {tensor.dtype} {shape}"


def _delegate(found: Inspection) -> str:
    delegate = found.delegate
    if delegate.reason:
        return f"unknown: {delegate.reason}"
    outside = ", ".join(row.op for row in delegate.outside or ()) or "none"
    return f"{units.plural(delegate.count or 0, 'partition')}, outside: {outside}"
