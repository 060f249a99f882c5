"""SavedModels of others are read, loaded and run in children first: what ends these ends in a typed error."""

from __future__ import annotations

import faulthandler
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgekit.errors import UntrustedCodeError
from edgekit.models import load, saved_trial
from edgekit.models.saved_trial import _died, _forked
from edgekit.runtime.limits import Limits


def abort(_: str) -> None:
    # Of pytest's, which would show where.
    faulthandler.disable()
    os.abort()


def spin(_: str) -> None:
    while True:
        pass


def wait(_: str) -> None:
    import time

    time.sleep(600)


def grow(_: str) -> None:
    held = []
    while True:
        held.append(bytes(1 << 24))


def write(path: str) -> None:
    try:
        Path(path).write_text("x")
    except OSError:
        os._exit(0)
    os._exit(3)


def read_elsewhere(_: str) -> None:
    try:
        Path("/etc/hostname").read_text()
    except OSError:
        os._exit(0)
    os._exit(3)


@pytest.mark.processes
@pytest.mark.parametrize(
    ("work", "match"),
    [
        (abort, r"m: crashed TF with SIGABRT\. If you trust"),
        (spin, r"m: took TF, over 1 s\. If you trust"),
        (wait, r"m: took TF, over 1 s"),
        (grow, r"m: wanted more than 134 MB of memory"),
    ],
)
def test_what_ends_a_fork_is_said(
    work: Callable[[str], None], match: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saved_trial, "run", work)
    limits = Limits(1, 1 << 27)
    ended = _forked(str(tmp_path), limits)
    assert ended.code != 0
    with pytest.raises(UntrustedCodeError, match=match):
        raise _died(Path("m"), ended, limits, "TF")


@pytest.mark.processes
@pytest.mark.parametrize("work", [write, read_elsewhere, str])
def test_a_fork_is_held(
    work: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgekit.runtime.sandbox.state import Sandbox

    offered = Sandbox.offered()
    held = {write: offered.seccomp or offered.landlock, read_elsewhere: offered.landlock, str: True}
    monkeypatch.setattr(saved_trial, "run", work)
    assert _forked(str(tmp_path / "x"), Limits(5, 1 << 28)).code == (0 if held[work] else 3)


CODE = """
import os, sys
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import tensorflow as tf
from pathlib import Path
from typing import Any
from edgekit.errors import UntrustedCodeError
from edgekit.models import load, saved_trial
from edgekit.models import load, saved_trial

forks = []
original = saved_trial._forked
saved_trial._forked = lambda *words: (forks.append(1), original(*words))[1]
run = saved_trial.run
saved_trial.run = lambda path: os.abort()
try:
    load(sys.argv[1])
except UntrustedCodeError as error:
    assert "crashed TensorFlow" in str(error) and "SIGABRT" in str(error), error
else:
    raise AssertionError("nothing was said")
saved_trial.run = run
source = load(sys.argv[1])
assert len(forks) == 2
assert source.call({"x": tf.ones((1, 3))})["y"].numpy().tolist() == [[2.0, 2.0, 2.0]]
# TensorFlow works here now: a prepared process tries the next.
for _ in range(2):
    assert load(sys.argv[1]).flavour == "savedmodel"
assert len(forks) == 2
process = saved_trial._prepared._process
assert process.poll() is None
saved_trial._prepared.end()
assert process.poll() is not None
"""


@pytest.mark.slow
@pytest.mark.processes
def test_a_program_outlives_what_it_loads(tmp_path: Path) -> None:
    save = (
        "import sys, tensorflow as tf\n"
        "class Twice(tf.Module):\n"
        "    @tf.function(input_signature=[tf.TensorSpec((1, 3), tf.float32, 'x')])\n"
        "    def serve(self, x):\n"
        "        return {'y': x * 2}\n"
        "model = Twice()\n"
        "tf.saved_model.save(model, sys.argv[1], signatures=model.serve)\n"
    )
    (tmp_path / "save.py").write_text(save)
    (tmp_path / "load.py").write_text(CODE)
    for name in ("save.py", "load.py"):
        words = [sys.executable, tmp_path / name, tmp_path / "saved"]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-3000:]


def fills(tf: Any, x: Any) -> Any:
    """Its optimiser computes this, and aborts."""
    return x + tf.reduce_sum(tf.raw_ops.Fill(dims=tf.constant([2**62, 2**62], tf.int64), value=1.0))


def suppresses(tf: Any, x: Any) -> Any:
    """Its kernel makes room for so many boxes, and follows a null pointer."""
    most = 2**31 - 1
    found = tf.raw_ops.CombinedNonMaxSuppression(
        boxes=tf.ones([1, 2, 1, 4]),
        scores=tf.ones([1, 2, 1]),
        max_output_size_per_class=most,
        max_total_size=most,
        iou_threshold=0.5,
        score_threshold=0.5,
    )
    return x + tf.reduce_sum(found[0])


def without_shapes(path: Path) -> None:
    """Take out what TensorFlow held against what its operators give."""
    from tensorflow.core.protobuf import saved_model_pb2

    proto = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    for meta in proto.meta_graphs:
        for function in meta.graph_def.library.function:
            for node in function.node_def:
                node.attr.pop("_output_shapes", None)
    path.write_bytes(proto.SerializeToString())


@pytest.mark.slow
@pytest.mark.processes
@pytest.mark.parametrize(
    ("function", "match"),
    [(fills, "crashed TensorFlow.* with SIGABRT"), (suppresses, "SIGSEGV|memory")],
)
def test_graphs_of_listed_operators_that_end_their_process(
    function: Callable[[Any, Any], Any], match: str, tmp_path: Path
) -> None:
    import tensorflow as tf

    class Module(tf.Module):  # type: ignore[misc]
        @tf.function(input_signature=[tf.TensorSpec((1, 3), tf.float32, "x")])
        def serve(self, x: Any) -> Any:
            return {"y": function(tf, x)}

    module = Module()
    tf.saved_model.save(module, str(tmp_path / "saved"), signatures=module.serve)
    without_shapes(tmp_path / "saved" / "saved_model.pb")
    with pytest.raises(UntrustedCodeError, match=match):
        load(tmp_path / "saved")
