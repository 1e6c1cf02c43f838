"""The parts of a server as its options want them. Imports TensorFlow."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from serving.batch import Batching
from serving.metrics import POOL, Counter
from serving.models import Models
from serving.options import Options
from serving.servable import Servable
from serving.states import Rhythm
from serving.textproto import BatchingParameters

if TYPE_CHECKING:
    from serving.request_log import RequestLog

# Enough that one model's long run does not keep the others waiting; TensorFlow shares the cores among them.
RUNS = 16


def models(options: Options, load: Callable[[Path], Servable]) -> Models:
    """Returns a registry, still empty, that loads versions by a function."""
    rhythm = Rhythm(
        poll_seconds=options.file_system_poll_wait_seconds,
        retries=options.max_num_load_retries,
        retry_seconds=options.load_retry_interval_micros / 1e6,
    )
    ahead = options.allow_version_labels_for_unavailable_models
    return Models(load, rhythm=rhythm, loads=options.num_load_threads or 1, labels_ahead=ahead)


def batching(options: Options, parameters: BatchingParameters | None) -> Batching:
    """Returns how requests form batches: by TF Serving's parameters where it is told to, else those that wait."""
    if parameters is None:
        together = None if options.enable_batching is None else False
        return Batching(together=together, max_rows=options.max_batch_size, threads=RUNS)
    return Batching(
        gather=False,
        strict=True,
        max_rows=parameters.max_execution_batch_size,
        split=parameters.enable_large_batch_splitting,
        threads=parameters.num_batch_threads,
        linger=parameters.batch_timeout_micros / 1e6,
        sizes=parameters.allowed_batch_sizes,
        pad_variable_length=parameters.pad_variable_length_inputs,
        pool=parameters.thread_pool_name or POOL,
    )


def request_log(options: Options, counter: Counter) -> "RequestLog | None":
    """Returns the log of the requests, None where there is to be none.

    Args:
        options: what the server was told.
        counter: of what becomes of requests that are to be logged.

    Raises:
        ServingError: its folder cannot be used.
    """
    if options.request_log_folder is None:
        return None
    from serving.request_log import RequestLog  # it brings Arrow

    return RequestLog(
        options.request_log_folder,
        rate=options.request_log_sampling_rate,
        max_bytes=options.request_log_max_bytes,
        predictions=options.request_log_predictions,
        counter=counter,
    )
