"""One version of a model: a SavedModel loaded into a TensorFlow session, and its signatures.

The session is the C++ one the real TF Serving runs, called through TensorFlow's own binding: the same
error texts, the interpreter lock released during a run, and a third of the overhead of
`tf.saved_model.load(...).signatures`, which also hides models whose variables are missing.
"""

import functools
import gc
import json
import logging
import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.client import pywrap_tf_session
from tensorflow.python.saved_model import loader_impl

from serving import operations
from serving.pace import Pace
from serving.signature import Signature, Tensor
from serving.status import Code, ServingError, guarded
from serving.tensors import BY_NUMBER, to_array

log = logging.getLogger("metaprior.serving")

RECORD = Path("assets.extra", "metaprior.json")
ALIGNED = ("embed_aligned", "embed_aligned_bytes")
DEFAULTS_LIMIT = 1 << 20
MOST_SELECTIONS = 16


class Servable:
    """A loaded SavedModel.

    Args:
        path: folder of the SavedModel.
        threads: threads of one operation and operations at a time (0: one a core).
        tags: of the meta graph that is loaded.
        may_reach_out: whether its signatures may read files, open connections or call Python.
        warm_up: runs the new servable before others may; by default each signature on zeros.

    Raises:
        ServingError: the folder holds no SavedModel that can be loaded and run.
    """

    def __init__(
        self,
        path: Path,
        *,
        threads: tuple[int, int] = (0, 0),
        tags: Sequence[str] = (tf.saved_model.SERVING,),
        may_reach_out: bool = False,
        warm_up: Callable[["Servable"], None] | None = None,
    ):
        config = tf.compat.v1.ConfigProto(
            intra_op_parallelism_threads=threads[0], inter_op_parallelism_threads=threads[1]
        )
        graph = tf.Graph()
        self._session = tf.compat.v1.Session(graph=graph, config=config)
        self.path = path
        self._users = 0
        self._idle = threading.Condition()
        try:
            self.definitions = guarded(_load, self._session, path, tags, may_reach_out)
            self._endpoints = guarded(_endpoints, graph, self.definitions)
            self.signatures = {name: endpoint.signature for name, endpoint in self._endpoints.items()}
            guarded(warm_up or Servable.run_zeros, self)
        except ServingError:
            self._session.close()
            raise

    @property
    def space(self) -> str:
        """Id of the embedding space, by the record of an exported encoder; empty where there is none."""
        return self.space_of("")

    def space_of(self, signature: str) -> str:
        """Returns the id of the space that a signature's embeddings are of; empty where no record tells.

        Args:
            signature: the signature's name; those of `ALIGNED` answer in the space that the encoder was aligned to.
        """
        record = self._record.get("aligned_to") if signature in ALIGNED else self._record
        space = record.get("space") if isinstance(record, dict) else None
        return space if isinstance(space, str) and space.isascii() and space.isprintable() else ""

    @functools.cached_property
    def _record(self) -> dict[str, Any]:
        try:
            found = json.loads((self.path / RECORD).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            # A record is not needed to serve: the version may be anybody's.
            return {}
        return found if isinstance(found, dict) else {}

    @property
    def is_rowwise(self) -> bool:
        """Whether every row's outputs depend on that row alone: exported encoders say so by their record."""
        return bool(self._record)

    def select(self, signature: Signature, wanted: Sequence[str]) -> Signature:
        """Returns a signature with those outputs alone that are wanted, or with all after too many selections."""
        if len(wanted) == len(signature.outputs):
            return signature
        return self._endpoints[signature.name].select(frozenset(wanted))

    def run(
        self, signature: Signature, inputs: Mapping[str, np.ndarray], seconds: float = math.inf
    ) -> dict[str, np.ndarray]:
        """Returns the outputs of one call of a signature.

        Args:
            signature: one of `signatures`, or a selection of its outputs.
            inputs: an array for each of its inputs, strings as bytes objects.
            seconds: after which the run is ended, where its operations let themselves be ended.

        Raises:
            ServingError: with the session's code and text.
        """
        endpoint = self._endpoints[signature.name]
        feeds = {endpoint.feeds[alias]: array for alias, array in inputs.items()}
        fetches = [endpoint.fetches[alias] for alias in signature.outputs]
        rows = max((len(array) for array in inputs.values() if array.ndim), default=1)
        options = endpoint.pace.options(rows, seconds)
        call: Any = pywrap_tf_session.TF_SessionRun_wrapper
        start = time.perf_counter()
        try:
            values = guarded(call, self._session._session, options, feeds, fetches, [], None)
        finally:
            endpoint.pace.took(time.perf_counter() - start)
        # A scalar string arrives as bare bytes.
        kinds = ((alias, tensor.kind.numpy) for alias, tensor in signature.outputs.items())
        return {alias: np.asarray(value, dtype) for (alias, dtype), value in zip(kinds, values, strict=True)}

    def run_zeros(self) -> None:
        """Runs each signature once on one row of zeros: builds its executor, and finds missing variables.

        Zeros or empty strings need not be valid inputs, so only what says that the model is broken counts.
        """
        for endpoint in self._endpoints.values():
            signature = endpoint.signature
            # What takes nothing in may be there for what it does.
            if not signature.inputs or any(tensor.shape is None for tensor in signature.inputs.values()):
                continue
            try:
                self.run(signature, {alias: _zeros(tensor) for alias, tensor in signature.inputs.items()})
            except ServingError as error:
                if error.code is Code.FAILED_PRECONDITION:
                    raise
                log.info("warm-up of signature %s: %s", signature.name, error)

    def cancel(self) -> None:
        """Ends what runs, as far as its operations let themselves be ended; nothing can be run any more."""
        self._session.close()

    def acquire(self) -> None:
        """Counts one more user; the session stays open until each has released it."""
        with self._idle:
            self._users += 1

    def release(self) -> None:
        """Counts one user less."""
        with self._idle:
            self._users -= 1
            self._idle.notify_all()

    def close_when_idle(self, timeout: float) -> bool:
        """Closes the session once nobody uses it; False where that took longer than `timeout` seconds."""
        with self._idle:
            if not self._idle.wait_for(lambda: self._users == 0, timeout):
                return False
        self._session.close()
        # The graph is full of cycles and the server's collector is a slow one: without this, every version that
        # came and went would leave its weights behind.
        del self._session, self._endpoints
        gc.collect()
        return True


@dataclass(frozen=True)
class _Endpoint:
    """A signature with the session's handles of its tensors."""

    signature: Signature
    feeds: dict[str, Any]
    fetches: dict[str, Any]
    pace: Pace = field(default_factory=Pace)
    selections: dict[frozenset[str], Signature] = field(default_factory=dict)

    def select(self, wanted: frozenset[str]) -> Signature:
        """Returns the signature with some of its outputs, or the whole one."""
        # Not any number of them: the session keeps an executor for each for ever.
        if wanted not in self.selections and len(self.selections) < MOST_SELECTIONS:
            outputs = {alias: tensor for alias, tensor in self.signature.outputs.items() if alias in wanted}
            self.selections[wanted] = replace(self.signature, outputs=outputs)
        return self.selections.get(wanted, self.signature)


def _load(session: Any, path: Path, tags: Sequence[str], may_reach_out: bool) -> dict[str, Any]:
    """Returns the SignatureDefs by name, after loading graph and variables into the session."""
    if not any((path / name).is_file() for name in ("saved_model.pb", "saved_model.pbtxt")):
        raise ServingError(
            Code.NOT_FOUND,
            f"Could not find SavedModel .pb or .pbtxt at supplied export directory path: {path}.",
        )
    try:
        # The class behind the public function, which logs a deprecation at every load.
        loader = loader_impl.SavedModelLoader(str(path))
    except OSError:
        raise ServingError(Code.DATA_LOSS, f"Can't parse the SavedModel in {path}: the file is damaged.") from None
    if not any(set(tags) == set(meta_graph.meta_info_def.tags) for meta_graph in loader.saved_model.meta_graphs):
        raise ServingError(
            Code.NOT_FOUND, f"Could not find meta graph def matching supplied tags: {{ {' '.join(tags)} }}."
        )
    meta_graph: Any = loader.get_meta_graph_def_from_tags(tags)
    if not may_reach_out:
        operations.check(meta_graph)
    with session.graph.as_default():
        try:
            if Path(loader.variables_path).parent.is_dir() or operations.has_state(meta_graph.graph_def):
                loader.load(session, list(tags))
            else:
                # As in C++: what has nothing to restore needs no checkpoint.
                loader.load_graph(session.graph, list(tags))
                loader.run_init_ops(session, list(tags))
        except ValueError as error:
            # Its variables are missing, or of another model.
            raise ServingError(Code.FAILED_PRECONDITION, str(error)) from error
    return dict(meta_graph.signature_def)


def _endpoints(graph: tf.Graph, definitions: Mapping[str, Any]) -> dict[str, _Endpoint]:
    endpoints = {}
    for name, definition in definitions.items():
        infos = [*definition.inputs.values(), *definition.outputs.values()]
        # Initialisation operations and sparse or unusual tensors cannot be called over the wire.
        if not infos or not all(info.name and info.dtype in BY_NUMBER for info in infos):
            continue
        signature = Signature(
            name,
            {alias: _tensor(info) for alias, info in sorted(definition.inputs.items())},
            {alias: _tensor(info) for alias, info in sorted(definition.outputs.items())},
            {a: to_array(proto, limit=DEFAULTS_LIMIT) for a, proto in definition.defaults.items()},
        )
        feeds = {alias: _handle(graph, tensor) for alias, tensor in signature.inputs.items()}
        fetches = {alias: _handle(graph, tensor) for alias, tensor in signature.outputs.items()}
        endpoints[name] = _Endpoint(signature, feeds, fetches)
    return endpoints


def _handle(graph: tf.Graph, tensor: Tensor) -> Any:
    return graph.get_tensor_by_name(tensor.name)._as_tf_output()


def _tensor(info: Any) -> Tensor:
    shape = None if info.tensor_shape.unknown_rank else tuple(dim.size for dim in info.tensor_shape.dim)
    return Tensor(info.name, BY_NUMBER[info.dtype], shape)


def _zeros(tensor: Tensor) -> np.ndarray:
    shape = [max(size, 1) for size in tensor.shape or ()]
    return np.full(shape, b"" if tensor.kind.name == "string" else 0, tensor.kind.numpy)
