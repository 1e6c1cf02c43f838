"""A model that reaches out of itself is refused before anything of it runs."""

import re

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework import op_def_pb2
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.python.client import pywrap_tf_session

from serving import operations
from serving.servable import Servable
from serving.status import Code, ServingError

REGISTERED = op_def_pb2.OpList.FromString(pywrap_tf_session.TF_GetBuffer(pywrap_tf_session.TF_GetAllOpList()))
# They take a pattern of characters, not of files; a name is made, not used; devices, not hosts; rows of a tensor.
HARMLESS = r"(Static)?Regex(FullMatch|Replace)|ShardedFile(name|spec)|TensorSliceDataset|FileSystem.*|Reader.*"
TELLS_OF_FILES = re.compile(r"file|logdir|log_dir|shard_dir|snapshot|^path$|^prefix$|address|url|^pattern$|ckpt")


def save(path, **functions):
    module = tf.Module()
    module.kept = tf.Variable(1.0)
    saved = {}
    for name, function in functions.items():
        spec = tf.TensorSpec([None], tf.string, name="x")
        saved[name] = tf.function(lambda x, f=function: {"y": f(x)}, input_signature=[spec])
    tf.saved_model.save(module, str(path), signatures=saved)
    return path


def refusal(path):
    with pytest.raises(ServingError) as caught:
        Servable(path)
    assert caught.value.code is Code.PERMISSION_DENIED
    return caught.value.message


def test_every_operation_of_tensorflow_that_names_files_or_addresses_is_known():
    telling = {
        operation.name
        for operation in REGISTERED.op
        if any(TELLS_OF_FILES.search(argument.name) for argument in [*operation.input_arg, *operation.attr])
    }
    assert {name for name in telling - operations.REACHING_OUT if not re.fullmatch(HARMLESS, name)} == set()


def test_the_names_are_tensorflows():
    assert {operation.name for operation in REGISTERED.op} >= operations.REACHING_OUT


def test_reading_a_file_is_refused_and_nothing_is_read(tmp_path):
    path = save(tmp_path / "1", serving_default=lambda x: tf.map_fn(tf.io.read_file, x))
    assert refusal(path) == (
        "signature serving_default runs the operation ReadFile, which reaches out of the model. If you trust the "
        "model, serve it with --allow_reaching_out."
    )


def test_writing_is_refused_though_no_output_needs_it(tmp_path):
    victim = tmp_path / "victim"

    def write(x):
        tf.io.write_file(str(victim), x[0])
        return x

    path = save(tmp_path / "1", serving_default=tf.identity, other=write)
    assert refusal(path).startswith("signature other runs the operation WriteFile,")
    assert not victim.exists()


def test_calling_python_in_a_branch_of_a_loop_is_refused(tmp_path):
    @tf.function
    def deep(x):
        for _ in tf.range(3):
            if tf.size(x) > 1:
                x = tf.reshape(tf.numpy_function(lambda y: y, [x], tf.string), [-1])
        return x

    assert "PyFunc" in refusal(save(tmp_path / "1", serving_default=deep))


def test_a_start_that_writes_is_refused(tmp_path):
    victim = tmp_path / "victim"
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        x = tf.compat.v1.placeholder(tf.float32, [None], name="x")
        y = tf.identity(x)
        start = tf.io.write_file(str(victim), "owned")
        builder = tf.compat.v1.saved_model.Builder(str(tmp_path / "1"))
        signature = tf.compat.v1.saved_model.predict_signature_def({"x": x}, {"y": y})
        builder.add_meta_graph_and_variables(session, ["serve"], {"serving_default": signature}, main_op=start)
        builder.save()
    assert refusal(tmp_path / "1").startswith("signature __saved_model_init_op runs the operation WriteFile,")
    assert not victim.exists()


def test_a_restoring_that_writes_is_refused(tmp_path):
    path = save(tmp_path / "1", serving_default=tf.identity)
    file = path / "saved_model.pb"
    model = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    graph = model.meta_graphs[0].graph_def
    for name in ("name", "text"):
        value = tf.make_tensor_proto(str(tmp_path / "victim"))
        node = graph.node.add(name=f"owned/{name}", op="Const")
        node.attr["value"].tensor.CopyFrom(value)
        node.attr["dtype"].type = value.dtype
    graph.node.add(name="owned", op="WriteFile", input=["owned/name", "owned/text"])
    model.meta_graphs[0].saver_def.restore_op_name = "owned"
    file.write_bytes(model.SerializeToString())
    assert refusal(path).startswith("signature __saved_model_restore_op runs the operation WriteFile,")
    assert not (tmp_path / "victim").exists()


def test_a_vocabulary_and_the_saver_of_variables_are_allowed(tmp_path):
    (tmp_path / "words.txt").write_text("a\nb\n")

    class Words(tf.Module):
        def __init__(self):
            super().__init__()
            self.weight = tf.Variable(2.0)
            rows = tf.lookup.TextFileInitializer(
                str(tmp_path / "words.txt"), tf.string, 0, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER
            )
            self.table = tf.lookup.StaticHashTable(rows, -1)

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="x")])
        def look(self, x):
            return {"y": self.weight * tf.cast(self.table.lookup(x), tf.float32)}

    words = Words()
    tf.saved_model.save(words, str(tmp_path / "1"), signatures={"serving_default": words.look})
    servable = Servable(tmp_path / "1")
    assert servable.run(servable.signatures["serving_default"], {"x": np.array([b"b", b"c"])})["y"].tolist() == [
        2.0,
        -2.0,
    ]
    assert servable.close_when_idle(5)


def test_who_trusts_a_model_may_let_it_read(tmp_path):
    (tmp_path / "note").write_bytes(b"hello")
    path = save(tmp_path / "1", serving_default=lambda x: tf.map_fn(tf.io.read_file, x))
    servable = Servable(path, may_reach_out=True)
    answer = servable.run(servable.signatures["serving_default"], {"x": np.array([str(tmp_path / "note").encode()])})
    assert answer["y"].tolist() == [b"hello"]
    assert servable.close_when_idle(5)
