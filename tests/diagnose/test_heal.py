"""Heal: a file that was broken follows the float file again, on samples that chose nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diagnose.conftest import Files

import edgekit
from edgekit.diagnose.heal.editor import Editor
from edgekit.diagnose.heal.heal import heal
from edgekit.diagnose.network import Grid
from edgekit.document.healing import Healing
from edgekit.errors import UsageError
from edgekit.report.diagnoses import healing_lines
from edgekit.samples import Samples


def pictures(seed: int, count: int) -> Samples:
    rng = np.random.default_rng(seed)
    return Samples({"image": (rng.random((count, 8, 8, 1)) * 16).astype(np.float32)})


def healed(plain: Path, file: Path, out: Path) -> Healing:
    with edgekit.load(plain) as a, edgekit.load(file) as b:
        return heal(a, b, pictures(1, 80), pictures(2, 60), out)


def distance(plain: Path, file: Path) -> float:
    x = pictures(2, 60).inputs
    with edgekit.load(plain) as a, edgekit.load(file) as b:
        ours, theirs = (next(iter(r.infer_batch(x).values())).astype(float) for r in (b, a))
    return float(-10 * np.log10(np.mean((ours - theirs) ** 2) / theirs.var()))


def test_a_grid_is_written_and_biases_keep_their_values(tflite: Files) -> None:
    editor = Editor(tflite.int8.read_bytes())
    tensors = editor.file.graphs[0].tensors
    second = next(o for o in editor.file.graphs[0].operators if o.op == "DEPTHWISE_CONV_2D")
    (group,) = (g for g in editor.groups() if second.inputs[0] in g)
    bias = tensors[second.inputs[2]]
    content = editor.file.content

    def values() -> Any:
        return bias.constant("<i4").of(content) * bias.scales.of(content).astype(float)

    before = values()
    scale, zero = editor.grid(group[0]) or (0.0, 0)
    editor.set_grid(group, Grid("", "int8", scale * 2, zero))
    assert editor.grid(group[0]) == pytest.approx((scale * 2, zero))
    steps = bias.scales.of(content).astype(float)
    assert (np.abs(values() - before) <= steps * 0.51).all()
    kernel = tensors[second.inputs[1]].scales.of(content)
    np.testing.assert_allclose(steps, scale * 2 * kernel, rtol=1e-5)


def test_tensors_that_share_a_grid_are_one_group(tflite: Files) -> None:
    editor = Editor(tflite.int8.read_bytes())
    pool = next(o for o in editor.file.graphs[0].operators if o.op == "MAX_POOL_2D")
    (group,) = (g for g in editor.groups() if pool.inputs[0] in g)
    assert pool.outputs[0] in group


@pytest.mark.slow
def test_a_broken_file_is_healed(tflite: Files, tmp_path: Path) -> None:
    editor = Editor(tflite.int8.read_bytes())
    place, _ = next(iter(editor.layers()))
    kernel = editor.file.graphs[0].tensors[editor.file.graphs[0].operators[place].inputs[1]]
    values = kernel.constant("<i1").of(editor.file.content)
    values[:] = values[::-1].copy()
    broken, out = tmp_path / "broken.int8.tflite", tmp_path / "better.int8.tflite"
    broken.write_bytes(editor.content)
    found = healed(tflite.plain, broken, out)
    assert found.healed is not None
    assert found.after is not None
    assert any(remedy.kept for remedy in found.remedies)
    clean, before, after = (distance(tflite.plain, p) for p in (tflite.int8, broken, out))
    assert before < 10 < after
    # Of what was lost, 90 % at least come back.
    assert 10 ** (-after / 10) - 10 ** (-clean / 10) < 0.1 * 10 ** (-before / 10)
    assert found.before.output_db == pytest.approx(before, abs=3)
    assert max(map(len, healing_lines(found))) <= 80 + len(str(out))
    assert Healing.from_json(found.to_json()) == found


@pytest.mark.slow
def test_nothing_is_written_where_nothing_is_better(tflite: Files, tmp_path: Path) -> None:
    out = tmp_path / "better.int8.tflite"
    found = healed(tflite.plain, tflite.plain, out)
    assert found.healed is None
    assert found.after is None
    assert not out.exists()
    assert "No file was written" in healing_lines(found)[-1]


def test_few_samples_are_refused(tflite: Files, tmp_path: Path) -> None:
    with (
        edgekit.load(tflite.plain) as a,
        edgekit.load(tflite.int8) as b,
        pytest.raises(UsageError, match="expected at least 8"),
    ):
        heal(a, b, pictures(1, 4), pictures(2, 4), tmp_path / "x.tflite")


@pytest.mark.slow
def test_samples_that_chose_do_not_judge_in_silence(tflite: Files, tmp_path: Path) -> None:
    """They are found by what they hold, not by where they lie."""
    some = pictures(1, 40)
    mixed = Samples(
        {"image": np.concatenate([pictures(2, 30).inputs["image"], some[:10].inputs["image"]])}
    )
    with edgekit.load(tflite.plain) as a, edgekit.load(tflite.plain) as b:
        found = heal(a, b, some, mixed, tmp_path / "better.tflite")
        sound = heal(a, b, some, pictures(2, 40), tmp_path / "better.tflite")
    assert len(found.warnings) == 1
    assert found.warnings[0].startswith("10 of the 40 samples")
    assert "warning: 10 of the 40 samples" in " ".join(healing_lines(found))
    assert Healing.from_json(found.to_json()) == found
    assert sound.warnings == ()
