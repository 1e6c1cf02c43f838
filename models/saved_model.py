"""Changes to a SavedModel that TensorFlow has no function for."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import tensorflow as tf
from tensorflow.core.framework import tensor_shape_pb2
from tensorflow.core.protobuf import saved_model_pb2, saved_object_graph_pb2

from models.atomic import write_whole

FILE = "saved_model.pb"


def signatures(path: Path) -> set[str]:
    """Returns the names of a SavedModel's signatures, none where there is no such folder; loads nothing."""
    return set(_read(path).meta_graphs[0].signature_def) if (path / FILE).is_file() else set()


def inputs(path: Path, signature: str) -> dict[str, tf.TensorSpec]:
    """Returns what a signature takes, by name.

    Args:
        path: folder of the SavedModel.
        signature: name of the signature.
    """
    found = _read(path).meta_graphs[0].signature_def[signature].inputs
    return {name: tf.TensorSpec(_shape(info.tensor_shape), tf.as_dtype(info.dtype)) for name, info in found.items()}


def rename_inputs(path: Path, signatures: Iterable[str], names: Mapping[str, str]) -> None:
    """Renames inputs in a SignatureDef and in the function that `tf.saved_model.load` calls by keyword.

    TensorFlow takes no names like `job/kind` when it saves; a server and a client do.

    Args:
        path: folder of the SavedModel.
        signatures: the signatures whose inputs are renamed.
        names: new names by old ones; the others stay.
    """
    saved = _read(path)
    graph = saved.meta_graphs[0]
    functions = _functions(graph.object_graph_def)
    for signature in signatures:
        taken = graph.signature_def[signature].inputs
        old = {name: type(info).FromString(info.SerializeToString()) for name, info in taken.items()}
        taken.clear()
        for name, info in old.items():
            taken[names.get(name, name)].CopyFrom(info)
        keywords = functions[signature].argument_keywords
        keywords[:] = [names.get(keyword, keyword) for keyword in keywords]
    write_whole(path / FILE, saved.SerializeToString(deterministic=True))


def _read(path: Path) -> saved_model_pb2.SavedModel:
    return saved_model_pb2.SavedModel.FromString((path / FILE).read_bytes())


def _shape(shape: tensor_shape_pb2.TensorShapeProto) -> list[int | None]:
    return [None if dimension.size < 0 else dimension.size for dimension in shape.dim]


def _functions(
    graph: saved_object_graph_pb2.SavedObjectGraph,
) -> dict[str, saved_object_graph_pb2.SavedBareConcreteFunction]:
    """Returns the functions behind the signatures by their names."""
    [table] = [child.node_id for child in graph.nodes[0].children if child.local_name == "signatures"]
    return {
        child.local_name: graph.nodes[child.node_id].bare_concrete_function for child in graph.nodes[table].children
    }
