"""Warm-up: a version answers requests of its own choice before it is available to others.

They are the `PredictionLog`s of the TFRecord file `assets.extra/tf_serving_warmup_requests`, as TF Serving reads it.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.python.lib.io import _pywrap_record_io
from tensorflow_serving.apis import classification_pb2, prediction_log_pb2, regression_pb2

from serving.inference import CLASSIFY, REGRESS, Arrays, infer, infer_all
from serving.metrics import Metrics
from serving.prediction import prepare
from serving.servable import Servable
from serving.signature import Signature
from serving.status import Code, ServingError, guarded, invalid

FILE = Path("assets.extra", "tf_serving_warmup_requests")
MOST = 1000
UNLIMITED = 1 << 62  # the file is the model's own: it may claim what it likes


@dataclass(frozen=True)
class WarmUp:
    """Replays a version's warm-up file; a version without one runs each signature on zeros.

    Attributes:
        metrics: count how long it took.
        enabled: whether files are replayed at all.
        iterations: how often each of a file's requests is run.
    """

    metrics: Metrics
    enabled: bool = True
    iterations: int = 1

    def __call__(self, servable: Servable) -> None:
        """Warms a servable up.

        Raises:
            ServingError: a request failed, DATA_LOSS where the file is none of records.
        """
        file = servable.path / FILE
        if not self.enabled or not file.is_file():
            servable.run_zeros()
            return
        start, count = time.perf_counter(), 0
        try:
            for record in records(file):
                count += 1
                self._replay(servable, record, file)
                if count > MOST:
                    raise invalid(f"Number of warmup records exceeds the maximum ({MOST}) at {file}")
        except ServingError as error:
            self._count(servable.path, start, count, error.code.name)
            raise
        self._count(servable.path, start, count, Code.OK.name)

    def _replay(self, servable: Servable, record: bytes, file: Path) -> None:
        try:
            log = prediction_log_pb2.PredictionLog.FromString(record)
        except DecodeError:
            raise invalid(f"Failed to parse warmup record: {record!r} from {file}") from None
        for _ in range(self.iterations):
            guarded(_run, servable, log)

    def _count(self, path: Path, start: float, count: int, status: str) -> None:
        self.metrics.warmup_latency.add((time.perf_counter() - start) * 1e6, str(path), status)
        self.metrics.warmup_records.add(str(path), status, by=count)


def records(file: Path) -> Iterator[bytes]:
    """Yields the records of a TFRecord file.

    Raises:
        ServingError: DATA_LOSS, it is none.
    """
    # TensorFlow's own reader below the public functions, of which one is deprecated and the other a dataset.
    reader: Any = _pywrap_record_io.RecordIterator(str(file), "")
    while True:
        try:
            yield next(reader)
        except StopIteration:
            return
        except tf.errors.DataLossError as error:
            reason = f"{error.message}. Please verify your warmup data is in TFRecord format."
            raise ServingError(Code.DATA_LOSS, reason) from None


def _run(servable: Servable, log: prediction_log_pb2.PredictionLog) -> None:
    def run(signature: Signature, inputs: Arrays) -> Arrays:
        signature.check_shapes(inputs)
        return servable.run(signature, inputs)

    kind = log.WhichOneof("log_type")
    if kind == "predict_log":
        call = prepare(servable, log.predict_log.request, UNLIMITED)
        run(call.signature, call.inputs)
    elif kind == "classify_log":
        infer(CLASSIFY, servable, log.classify_log.request, run, classification_pb2.ClassificationResult())
    elif kind == "regress_log":
        infer(REGRESS, servable, log.regress_log.request, run, regression_pb2.RegressionResult())
    elif kind == "multi_inference_log":
        infer_all(servable, log.multi_inference_log.request, run)
    elif kind is not None:
        number = log.DESCRIPTOR.fields_by_name[kind].number
        raise ServingError(Code.UNIMPLEMENTED, f"Unsupported log_type for warmup: {number}")
