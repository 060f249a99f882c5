"""SavedModels made to read or write files: refused by what is in them, wherever it is."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.errors import ArtifactError, UntrustedCodeError
from edgekit.formats.protobuf import Message, delimited
from edgekit.models import load
from edgekit.models.saved_model import computing_operators, refuse_reaching

SECRET = "the secret\n"


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    """What a model writes, or where it reads a secret."""
    return tmp_path / "mark"


def exported(folder: Path, serve: Callable[[Any], Any]) -> Path:
    import tensorflow as tf

    module = tf.Module()
    module.total = tf.Variable(2.0)
    module.serve = tf.function(
        lambda x: {"y": serve(x) * module.total},
        input_signature=[tf.TensorSpec((1, 2), tf.float32, "x")],
    )
    tf.saved_model.save(module, folder / "model", signatures=module.serve)
    return folder / "model"


def edit(model: Path, change: Callable[[Any], object]) -> Path:
    """Change the only meta graph of a SavedModel."""
    from tensorflow.core.protobuf import saved_model_pb2

    proto = model / "saved_model.pb"
    saved = saved_model_pb2.SavedModel.FromString(proto.read_bytes())
    change(saved.meta_graphs[0])
    proto.write_bytes(saved.SerializeToString())
    return model


def after(x: Any, first: Any) -> Any:
    import tensorflow as tf

    with tf.control_dependencies([first]):
        return tf.identity(x)


def length(text: Any) -> Any:
    import tensorflow as tf

    return tf.cast(tf.strings.length(text), tf.float32)


def written(x: Any, mark: str) -> Any:
    import tensorflow as tf

    return after(x, tf.io.write_file(mark, "mine"))


def in_a_branch(x: Any, mark: str) -> Any:
    import tensorflow as tf

    return tf.cond(tf.reduce_sum(x) > 0, lambda: written(x, mark), lambda: x)


def in_a_loop(x: Any, mark: str) -> Any:
    import tensorflow as tf

    return tf.while_loop(lambda i, _: i < 1, lambda i, y: (i + 1, written(y, mark)), (0, x))[1]


def in_a_gradient(x: Any, mark: str) -> Any:
    import tensorflow as tf

    @tf.custom_gradient
    def identity(y: Any) -> Any:
        return tf.identity(y), lambda dy: written(dy, mark)

    with tf.GradientTape() as tape:
        tape.watch(x)
        y = identity(x)
    return tape.gradient(y, x)


def read(x: Any, mark: str) -> Any:
    import tensorflow as tf

    return x + length(tf.io.read_file(mark))


def read_as_a_data_set(x: Any, mark: str) -> Any:
    import tensorflow as tf

    lines = tf.data.TextLineDataset(mark)
    return x + lines.reduce(0.0, lambda total, line: total + length(line))


def read_as_a_tensor(x: Any, mark: str) -> Any:
    import tensorflow as tf

    stolen = tf.raw_ops.ImmutableConst(dtype=tf.uint8, shape=[4], memory_region_name=mark)
    return x + tf.reduce_sum(tf.cast(stolen, tf.float32))


def read_as_a_vocabulary(x: Any, mark: str) -> Any:
    import tensorflow as tf

    found = tf.raw_ops.GenerateVocabRemapping(
        new_vocab_file=mark, old_vocab_file=mark, new_vocab_offset=0, num_new_vocab=1
    )
    return x + tf.cast(tf.reduce_sum(found[0]), tf.float32)


def read_as_a_table(x: Any, mark: str) -> Any:
    import tensorflow as tf

    table = tf.raw_ops.HashTableV2(key_dtype=tf.string, value_dtype=tf.int64)
    fill = tf.raw_ops.InitializeTableFromTextFileV2(
        table_handle=table, filename=mark, key_index=-2, value_index=-1
    )
    return after(x, fill)


def read_as_records(x: Any, mark: str) -> Any:
    import tensorflow as tf

    return x + length(tf.raw_ops.RecordInput(file_pattern=mark, batch_size=1))[0]


def written_as_records(x: Any, mark: str) -> Any:
    import tensorflow as tf

    rows = tf.data.Dataset.from_tensors("mine")
    return after(
        x,
        tf.raw_ops.DatasetToTFRecord(
            input_dataset=rows._variant_tensor, filename=mark, compression_type=""
        ),
    )


def written_as_a_checkpoint(x: Any, mark: str) -> Any:
    import tensorflow as tf

    return after(
        x, tf.raw_ops.SaveV2(prefix=mark, tensor_names=["x"], shape_and_slices=[""], tensors=[x])
    )


def read_as_a_checkpoint(x: Any, mark: str) -> Any:
    import tensorflow as tf

    found = tf.raw_ops.RestoreV2(
        prefix=mark, tensor_names=["x"], shape_and_slices=[""], dtypes=[tf.float32]
    )
    return x + found[0]


def named_by_a_pattern(x: Any, mark: str) -> Any:
    import tensorflow as tf

    return x + tf.cast(tf.size(tf.io.matching_files(mark)), tf.float32)


def printed_to_a_file(x: Any, mark: str) -> Any:
    import tensorflow as tf

    return after(x, tf.print(x, output_stream=f"file://{mark}"))


def python(x: Any, mark: str) -> Any:
    import tensorflow as tf

    return tf.numpy_function(lambda y: y, [x], tf.float32) + len(mark)


REACHING = {
    written: "WriteFile",
    in_a_branch: "WriteFile",
    in_a_loop: "WriteFile",
    in_a_gradient: "WriteFile",
    read: "ReadFile",
    read_as_a_data_set: "TextLineDataset",
    read_as_a_tensor: "ImmutableConst",
    read_as_a_vocabulary: "GenerateVocabRemapping",
    read_as_a_table: "InitializeTableFromTextFileV2",
    read_as_records: "RecordInput",
    written_as_records: "DatasetToTFRecord",
    written_as_a_checkpoint: "SaveV2",
    read_as_a_checkpoint: "RestoreV2",
    named_by_a_pattern: "MatchingFiles",
    printed_to_a_file: "PrintV2 to a file",
    python: "PyFunc",
}


@pytest.mark.parametrize("function", REACHING, ids=lambda function: function.__name__)
def test_a_signature_that_reaches_beyond(
    tmp_path: Path, mark: Path, function: Callable[[Any, str], Any]
) -> None:
    model = exported(tmp_path, lambda x: function(x, str(mark)))
    with pytest.raises(
        UntrustedCodeError, match=f"graph holds .*{REACHING[function]}.*--trust-code"
    ):
        load(model)
    assert not mark.exists()


@pytest.mark.parametrize("function", [written, in_a_loop, written_as_records, printed_to_a_file])
def test_they_would(tmp_path: Path, mark: Path, function: Callable[[Any, str], Any]) -> None:
    source = load(exported(tmp_path, lambda x: function(x, str(mark))), trust_code=True)
    source.call({"x": np.ones((1, 2), np.float32)})
    assert mark.exists()


def test_a_graph_with_variables_and_tables_does_not(tmp_path: Path) -> None:
    import keras
    import tensorflow as tf

    def prints(x: Any) -> Any:
        with tf.control_dependencies([tf.print("seen")]):
            return tf.identity(x)

    assert load(exported(tmp_path, prints)).inputs[0].name == "x"
    words = keras.Input((1,), dtype="string", name="word")
    lookup = keras.layers.StringLookup(vocabulary=["a", "b"], output_mode="one_hot")
    keras.Model(words, lookup(words)).export(tmp_path / "lookup", verbose=False)
    assert load(tmp_path / "lookup").inputs[0].dtype == "string"


def test_what_learned_from_a_data_set_may_read_the_one_it_is_given(tmp_path: Path) -> None:
    """Layers of tf_keras that were adapted are saved with the function that did it."""
    import tensorflow as tf

    module = tf.Module()
    module.total = tf.Variable(0.0)
    module.learn = tf.function(lambda data: module.total.assign(next(data)))
    module.learn.get_concrete_function(iter(tf.data.Dataset.from_tensor_slices([1.0, 2.0])))
    spec = tf.TensorSpec((1, 2), tf.float32, "x")
    serve = tf.function(lambda x: {"y": x + module.total}).get_concrete_function(spec)
    tf.saved_model.save(module, tmp_path / "model", signatures=serve)
    assert b"IteratorGetNext" in (tmp_path / "model" / "saved_model.pb").read_bytes()
    refuse_reaching(tmp_path / "model")
    # What makes an iterator, or finds one of the process by name, is another matter.
    assert not {"AnonymousIteratorV3", "IteratorV2", "MakeIterator"} & computing_operators()


def test_an_initialiser_that_runs_when_it_is_loaded(tmp_path: Path, mark: Path) -> None:
    import tensorflow as tf

    class Resource(tf.saved_model.experimental.TrackableResource):  # type: ignore[misc]
        def _create_resource(self) -> Any:
            return tf.raw_ops.HashTableV2(key_dtype=tf.string, value_dtype=tf.int64)

        def _initialize(self) -> None:
            tf.io.write_file(str(mark), "mine")

    module = tf.Module()
    module.resource = Resource()
    module.serve = tf.function(
        lambda x: {"y": after(x, module.resource.resource_handle)},
        input_signature=[tf.TensorSpec((1, 2), tf.float32, "x")],
    )
    tf.saved_model.save(module, tmp_path / "model", signatures=module.serve)
    mark.unlink(missing_ok=True)
    with pytest.raises(UntrustedCodeError, match="WriteFile"):
        load(tmp_path / "model")
    assert not mark.exists()
    load(tmp_path / "model", trust_code=True)
    assert mark.exists()


def test_a_restore_of_another_models_variables(tmp_path: Path) -> None:
    """The saver's function, which nobody else may call, with a path of the file's own."""

    def point_elsewhere(meta: Any) -> None:
        for function in meta.graph_def.library.function:
            for node in function.node_def:
                if node.op == "RestoreV2":
                    node.input[0] = "RestoreV2/tensor_names:output:0"

    with pytest.raises(UntrustedCodeError, match="RestoreV2"):
        load(edit(exported(tmp_path, lambda x: x), point_elsewhere))


def test_a_saver_that_others_call(tmp_path: Path) -> None:
    def call(meta: Any) -> None:
        functions = meta.graph_def.library.function
        (save,) = (f.signature.name for f in functions if "traced_save" in f.signature.name)
        for function in functions:
            for node in function.node_def:
                if node.op == "StatefulPartitionedCall":
                    node.attr["f"].func.name = save

    with pytest.raises(UntrustedCodeError, match=r"MergeV2Checkpoints, SaveV2"):
        load(edit(exported(tmp_path, lambda x: x), call))


@pytest.mark.parametrize(
    ("suffix", "passes"),
    [(b"_temp/part", True), (b"/../../mark", False), (b".", False), (b"", False)],
)
def test_what_a_saver_puts_behind_its_path(tmp_path: Path, suffix: bytes, passes: bool) -> None:
    def change(meta: Any) -> None:
        for function in meta.graph_def.library.function:
            for node in function.node_def:
                if node.op == "Const" and node.attr["value"].tensor.string_val[:] == [
                    b"_temp/part"
                ]:
                    node.attr["value"].tensor.string_val[0] = suffix

    model = edit(exported(tmp_path, lambda x: x), change)
    if passes:
        refuse_reaching(model)
        return
    with pytest.raises(UntrustedCodeError, match="SaveV2"):
        refuse_reaching(model)


def with_a_vocabulary(folder: Path) -> Path:
    import tensorflow as tf

    (folder / "words.txt").write_text("a\nb\n")
    module = tf.Module()
    module.table = tf.lookup.StaticHashTable(
        tf.lookup.TextFileInitializer(str(folder / "words.txt"), tf.string, -2, tf.int64, -1),
        7,
    )
    module.serve = tf.function(
        lambda word: {"y": module.table.lookup(word)},
        input_signature=[tf.TensorSpec((1, 1), tf.string, "word")],
    )
    tf.saved_model.save(module, folder / "model", signatures=module.serve)
    return folder / "model"


def test_a_table_from_a_file_of_the_model_is_no_harm(tmp_path: Path) -> None:
    model = with_a_vocabulary(tmp_path)
    (tmp_path / "words.txt").unlink()
    answer = load(model).call({"word": np.array([["b"]], object)})
    assert answer["y"].numpy().tolist() == [[1]]


def test_but_from_one_outside_it_is(tmp_path: Path, mark: Path) -> None:
    mark.write_text(SECRET)

    def outside(meta: Any) -> None:
        (asset,) = meta.asset_file_def
        asset.filename = "../../mark"

    with pytest.raises(UntrustedCodeError, match=r"its asset '\.\./\.\./mark' lies outside"):
        load(edit(with_a_vocabulary(tmp_path), outside))


def test_a_table_from_a_path_in_the_graph_is(tmp_path: Path, mark: Path) -> None:
    mark.write_text(SECRET)

    def by_name(meta: Any) -> None:
        for function in meta.graph_def.library.function:
            for node in function.node_def:
                if node.op == "InitializeTableFromTextFileV2":
                    path = function.node_def.add(name="path", op="Const")
                    path.attr["dtype"].type = 7
                    path.attr["value"].tensor.dtype = 7
                    path.attr["value"].tensor.string_val.append(str(mark).encode())
                    node.input[1] = "path:output:0"
                    return

    with pytest.raises(UntrustedCodeError, match="InitializeTableFromTextFileV2"):
        load(edit(with_a_vocabulary(tmp_path), by_name))


@pytest.mark.parametrize("name", ["variables/variables.index", "assets/secret", "variables"])
def test_links_out_of_the_folder(tmp_path: Path, mark: Path, name: str) -> None:
    model = exported(tmp_path, lambda x: x)
    place = model / name
    if place.exists():
        place.rename(tmp_path / "moved")
        place.symlink_to(tmp_path / "moved")
    else:
        mark.write_text(SECRET)
        place.symlink_to(mark)
    with pytest.raises(UntrustedCodeError, match=rf"its '{name}' is a link out of the folder"):
        load(model)


def test_a_pipe_in_the_folder(tmp_path: Path) -> None:
    model = exported(tmp_path, lambda x: x)
    os.mkfifo(model / "assets" / "pipe")
    with pytest.raises(UntrustedCodeError, match="or no file"):
        load(model)


def test_a_configuration_with_a_cluster(tmp_path: Path) -> None:
    from tensorflow.core.protobuf import config_pb2

    def change(meta: Any) -> None:
        config = config_pb2.ConfigProto()
        config.cluster_def.job.add(name="worker").tasks[0] = "192.0.2.1:1"
        for node in meta.graph_def.node:
            if node.op == "StatefulPartitionedCall":
                node.attr["config_proto"].s = config.SerializeToString()

    with pytest.raises(UntrustedCodeError, match="with a configuration of its own"):
        load(edit(exported(tmp_path, lambda x: x), change))


def test_functions_named_in_attributes_of_attributes(tmp_path: Path) -> None:
    """The saver's function is others' as soon as one of them names it, however deep."""

    def hide(meta: Any) -> None:
        functions = meta.graph_def.library.function
        (save,) = (f.signature.name for f in functions if "traced_save" in f.signature.name)
        node = next(n for f in functions for n in f.node_def if n.op == "StatefulPartitionedCall")
        inner = node.attr["_more"].list.func.add(name="x").attr["deeper"].func
        inner.name = save

    with pytest.raises(UntrustedCodeError, match="SaveV2"):
        load(edit(exported(tmp_path, lambda x: x), hide))


@pytest.mark.parametrize("inside", [False, True], ids=["graph", "function"])
@pytest.mark.parametrize("sizes", [(2**31 - 1,), (2**20, 2**20), (-1,)])
def test_a_constant_that_says_to_be_large(
    tmp_path: Path, inside: bool, sizes: tuple[int, ...]
) -> None:
    """One value stands for all of them; TensorFlow would make room for each."""

    def grow(meta: Any) -> None:
        functions = meta.graph_def.library.function
        nodes = [n for f in functions for n in f.node_def] if inside else meta.graph_def.node
        constant = next(node for node in nodes if node.op == "Const")
        del constant.attr["value"].tensor.tensor_shape.dim[:]
        for size in sizes:
            constant.attr["value"].tensor.tensor_shape.dim.add().size = size

    model = edit(exported(tmp_path, lambda x: x + 1), grow)
    with pytest.raises(UntrustedCodeError, match=r"its constants: unpacks to [\d,]+ MB out of 0.0"):
        refuse_reaching(model)


def of_tensorflow_1(folder: Path, reach: Callable[[Any], Any] | None = None) -> Path:
    """A SavedModel without objects, whose graph itself is run."""
    import tensorflow as tf

    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, (1, 2), "x")
        total = v1.get_variable("total", initializer=2.0)
        session.run(v1.global_variables_initializer())
        y = x * total
        v1.saved_model.simple_save(
            session, str(folder / "model"), {"x": x}, {"y": reach(y) if reach else y}
        )
    return folder / "model"


def test_a_graph_of_tensorflow_1(tmp_path: Path, mark: Path) -> None:
    answer = load(of_tensorflow_1(tmp_path)).call({"x": np.ones((1, 2), np.float32)})
    assert answer["y"].numpy().tolist() == [[2, 2]]
    (tmp_path / "other").mkdir()
    with pytest.raises(UntrustedCodeError, match="WriteFile"):
        load(of_tensorflow_1(tmp_path / "other", lambda y: written(y, str(mark))))


def test_a_graph_of_tensorflow_1_that_restores_when_it_is_called(tmp_path: Path) -> None:
    def leads_to_the_saver(meta: Any) -> None:
        (signature,) = meta.signature_def.values()
        (y,) = signature.outputs.values()
        node = next(n for n in meta.graph_def.node if n.name == y.name.partition(":")[0])
        node.input.append("^save/restore_all")

    with pytest.raises(UntrustedCodeError, match="RestoreV2"):
        load(edit(of_tensorflow_1(tmp_path), leads_to_the_saver))


def test_what_is_written_twice(tmp_path: Path) -> None:
    """Readers of protocol buffers take the last, or both: what is checked must be what is loaded."""
    model = exported(tmp_path, lambda x: x)
    proto = model / "saved_model.pb"
    (meta,) = Message.whole(proto.read_bytes()).blocks(2)
    proto.write_bytes(delimited(2, meta + delimited(2, b"")))
    with pytest.raises(ArtifactError, match="field 2, which is said once, is in it 2 times"):
        load(model)


def test_bytes_that_are_no_saved_model(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "saved_model.pb").write_bytes(b"\x0b\x0b")
    with pytest.raises(ArtifactError, match="not a SavedModel"):
        load(tmp_path / "model")


def test_the_list_holds_nothing_that_reaches_beyond() -> None:
    named = {word.split(" ")[0] for word in REACHING.values()} - {"PrintV2"}
    assert not named & computing_operators()
    assert {"MatMul", "VarHandleOp", "StatefulPartitionedCall"} <= computing_operators()
    assert not [op for op in computing_operators() if "File" in op or "Dataset" in op or "Py" in op]
