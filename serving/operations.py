"""Which operations of a SavedModel a request would set off, and whether they reach out of the model.

A SavedModel is a program. Most are arithmetic; one that reads or writes files, opens connections or calls back
into Python is refused unless whoever serves it says that it may. That keeps accidents and plain attacks out; it
is no sandbox.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any

from serving.status import Code, ServingError

# What the graph's own saver runs when a version is loaded, and nothing else may.
CHECKPOINTS = {
    *("DTensorRestoreV2", "DistributedSave", "LoadAndRemapMatrix", "MergeV2Checkpoints", "Restore", "RestoreSlice"),
    *("RestoreV2", "Save", "SaveSlices", "SaveV2"),
}
FILES = {
    *("CalibrationStatisticsSaver", "CreateSummaryDbWriter", "CreateSummaryFileWriter", "DumpTensor"),
    *("FileSystemSetConfiguration", "FixedUnigramCandidateSampler", "GenerateVocabRemapping", "MatchingFiles"),
    *("PrintV2", "ReadFile", "RecordInput", "Skipgram", "WriteFile"),
}
READERS = {
    *("FixedLengthRecordReader", "FixedLengthRecordReaderV2", "LMDBReader", "TFRecordReader", "TFRecordReaderV2"),
    *("TextLineReader", "TextLineReaderV2", "WholeFileReader", "WholeFileReaderV2"),
}
DATASETS = {
    *("CSVDataset", "CSVDatasetV2", "CacheDataset", "CacheDatasetV2", "DatasetToTFRecord", "ExperimentalCSVDataset"),
    *("ExperimentalDatasetToTFRecord", "ExperimentalLMDBDataset", "ExperimentalMatchingFilesDataset"),
    *("ExperimentalSqlDataset", "FixedLengthRecordDataset", "FixedLengthRecordDatasetV2", "LMDBDataset"),
    *("ListSnapshotChunksDataset", "LoadDataset", "MatchingFilesDataset", "SaveDataset", "SaveDatasetV2"),
    *("SnapshotChunkDataset", "SnapshotDataset", "SnapshotDatasetReader", "SnapshotDatasetV2", "SqlDataset"),
    *("SnapshotNestedDatasetReader", "TFRecordDataset", "TFRecordDatasetV2", "TextLineDataset"),
}
NETWORK = {
    *("DataServiceDataset", "DataServiceDatasetV2", "DataServiceDatasetV3", "DataServiceDatasetV4"),
    *("RegisterDataset", "RegisterDatasetV2", "RpcClient", "RpcServer"),
}
DEBUGGERS = {"DebugIdentity", "DebugIdentityV2", "DebugIdentityV3", "DebugNanCount", "DebugNumericSummary"}
PYTHON = {"EagerPyFunc", "PyFunc", "PyFuncStateless"}
# A vocabulary is read once, when the version is loaded.
VOCABULARIES = {"InitializeTableFromTextFile", "InitializeTableFromTextFileV2"}
REACHING_OUT = CHECKPOINTS | FILES | READERS | DATASETS | NETWORK | DEBUGGERS | PYTHON | VOCABULARIES

# What a checkpoint restores.
STATE = {
    *("AutoReloadVariable", "MutableDenseHashTable", "MutableDenseHashTableV2", "MutableHashTable"),
    *("MutableHashTableOfTensors", "MutableHashTableOfTensorsV2", "MutableHashTableV2", "VarHandleOp", "Variable"),
    *("VariableV2", "_VarHandlesOp"),
}

INITIALIZATION, RESTORING = "__saved_model_init_op", "__saved_model_restore_op"
ALLOWED = {INITIALIZATION: VOCABULARIES, RESTORING: CHECKPOINTS}


def check(meta_graph: Any) -> None:
    """Refuses a model whose signatures, or whose start, reach out of the model.

    Args:
        meta_graph: the MetaGraphDef that is to be loaded.

    Raises:
        ServingError: PERMISSION_DENIED, with signature and operation.
    """
    graph = _Graph(meta_graph.graph_def)
    for name, tensors in sorted(_entries(meta_graph).items()):
        allowed = ALLOWED.get(name, set())
        for operation in graph.operations(tensors):
            if operation in REACHING_OUT - allowed:
                raise ServingError(
                    Code.PERMISSION_DENIED,
                    f"signature {name} runs the operation {operation}, which reaches out of the model. If you trust "
                    "the model, serve it with --allow_reaching_out.",
                )


def has_state(graph_def: Any) -> bool:
    """Whether there is anything in a graph that a checkpoint would restore."""
    functions = (node for function in graph_def.library.function for node in function.node_def)
    return any(node.op in STATE for node in chain(graph_def.node, functions))


def _entries(meta_graph: Any) -> dict[str, list[str]]:
    """Returns what each signature, and the start, computes."""
    entries = {n: [info.name for info in d.outputs.values()] for n, d in meta_graph.signature_def.items()}
    # Where the first version of TensorFlow wrote it down.
    for key in {"saved_model_main_op", "legacy_init_op"} & set(meta_graph.collection_def):
        entries.setdefault(INITIALIZATION, []).extend(meta_graph.collection_def[key].node_list.value)
    if meta_graph.saver_def.restore_op_name:
        entries[RESTORING] = [meta_graph.saver_def.restore_op_name]
    return entries


class _Graph:
    def __init__(self, graph_def: Any):
        self._nodes: Mapping[str, Any] = {node.name: node for node in graph_def.node}
        self._functions: Mapping[str, Any] = {f.signature.name: f for f in graph_def.library.function}

    def operations(self, tensors: Iterable[str]) -> Iterator[str]:
        """Yields the types of all operations that computing these tensors may run."""
        waiting, seen, called = [_node(tensor) for tensor in tensors], set(), []
        while waiting:
            name = waiting.pop()
            node = self._nodes.get(name)
            if node is None or name in seen:
                continue
            seen.add(name)
            yield node.op
            called += [node.op, *_functions(node)]
            waiting += [_node(tensor) for tensor in node.input]
        yield from self._called(called)

    def _called(self, waiting: list[str]) -> Iterator[str]:
        """Whatever stands in a function counts: it may run for its effect, too."""
        seen: set[str] = set()
        while waiting:
            name = waiting.pop()
            if name in seen or name not in self._functions:
                continue
            seen.add(name)
            for node in self._functions[name].node_def:
                yield node.op
                waiting += [node.op, *_functions(node)]


def _node(tensor: str) -> str:
    """Returns the node of `^name`, `name:0` or `name`."""
    return tensor.removeprefix("^").partition(":")[0]


def _functions(node: Any) -> Iterator[str]:
    for value in node.attr.values():
        if value.HasField("func"):
            yield value.func.name
        yield from (function.name for function in value.list.func)
