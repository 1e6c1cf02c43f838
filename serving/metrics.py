"""What a Prometheus server can scrape: TF Serving's metrics under their own names, and `metaprior_*` beside them.

TF Serving's names begin with a colon and its counters do not end in `_total`, which Prometheus' text format
allows and its Python client does not write; these few lines are written here. Everything else is the client's.
"""

import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import prometheus_client
from prometheus_client.core import CollectorRegistry

from serving.status import Code, ServingError
from serving.version_info import VersionInfo

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
LATENCIES = tuple(10 * 1.8**i for i in range(33))  # us, up to 20 minutes
QUEUING = tuple(100 * 1.2**i for i in range(52))  # us, up to a second
COUNTS = tuple(float(1 << i) for i in range(15))
POOL = "batching"  # the batching threads' name, unless they are given one
MOST_CELLS = 1000
REFUSALS = frozenset(
    (Code.UNAVAILABLE, Code.RESOURCE_EXHAUSTED, Code.DEADLINE_EXCEEDED, Code.PERMISSION_DENIED, Code.UNAUTHENTICATED)
)


class Metric:
    """A metric of TF Serving: a cell for each combination of label values.

    Clients choose some of the values, model names above all; from `MOST_CELLS` combinations on, new ones share a
    cell whose labels are empty.

    Args:
        name: TensorFlow's name of it, with slashes.
        labels: names of its labels.
    """

    kind: str

    def __init__(self, name: str, *labels: str):
        self.name, self._name, self._labels = name, name.replace("/", ":"), labels
        self._cells: dict[tuple[str, ...], list[float]] = {}
        self._lock = threading.Lock()

    def lines(self) -> Iterator[str]:
        """Yields its lines of the exposition."""
        yield f"# TYPE {self._name} {self.kind}"
        for values, cell in sorted(self._copied().items()):
            yield from self._written(zip(self._labels, values, strict=True), cell)

    def _copied(self) -> dict[tuple[str, ...], list[float]]:
        with self._lock:
            return {values: list(cell) for values, cell in self._cells.items()}

    def _cell(self, values: tuple[str, ...], size: int) -> list[float]:
        """Returns the cell of these label values; the caller holds the lock."""
        if values not in self._cells and len(self._cells) >= MOST_CELLS:
            values = ("",) * len(self._labels)
        return self._cells.setdefault(values, [0] * size)

    def _written(self, labels: Iterable[tuple[str, str]], cell: list[float]) -> Iterator[str]:
        raise NotImplementedError

    def _line(self, suffix: str, labels: Iterable[str], value: float) -> str:
        return f"{self._name}{suffix}{{{','.join(labels)}}} {value:.17g}"


class Counter(Metric):
    """A number that only grows."""

    kind = "counter"

    def add(self, *values: str, by: float = 1) -> None:
        """Adds to the cell of these label values."""
        with self._lock:
            cell = self._cells.get(values) or self._cell(values, 1)
            cell[0] += by

    def total(self) -> float:
        """Returns the sum over all label values."""
        return sum(cell[0] for cell in self._copied().values())

    def _written(self, labels: Iterable[tuple[str, str]], cell: list[float]) -> Iterator[str]:
        yield self._line("", map(_label, labels), cell[0])


class Histogram(Metric):
    """A distribution in buckets.

    Args:
        name: TensorFlow's name of it, with slashes.
        labels: names of its labels.
        limits: upper limits of the buckets, to which one without a limit is added.
    """

    kind = "histogram"

    def __init__(self, name: str, *labels: str, limits: tuple[float, ...]):
        super().__init__(name, *labels)
        self._limits = limits

    def add(self, value: float, *values: str) -> None:
        """Adds a value to the cell of these label values."""
        bucket = bisect_left(self._limits, value)
        with self._lock:
            cell = self._cells.get(values) or self._cell(values, len(self._limits) + 2)
            cell[bucket] += 1
            cell[-1] += value

    def _written(self, labels: Iterable[tuple[str, str]], cell: list[float]) -> Iterator[str]:
        shown, total = list(map(_label, labels)), 0.0
        limits = [*(f"{limit:.6g}" for limit in self._limits), "+Inf"]
        for limit, count in zip(limits, cell[:-1], strict=True):
            total += count
            yield self._line("_bucket", [*shown, f'le="{limit}"'], total)
        yield self._line("_sum", shown, cell[-1])
        yield self._line("_count", shown, total)


class RequestCount(Counter):
    """Requests by model and outcome: those that succeeded are counted by the histogram of their latency.

    Args:
        latency: of successful requests; its first label is the model.
    """

    def __init__(self, latency: Histogram):
        super().__init__("/tensorflow/serving/request_count", "model_name", "status")
        self._latency = latency

    def _copied(self) -> dict[tuple[str, ...], list[float]]:
        cells = super()._copied()
        for (model, *_), cell in self._latency._copied().items():
            cells.setdefault((model, Code.OK.name), [0])[0] += sum(cell[:-1])
        return cells


class BatchingMetrics:
    """What TF Serving tells of its batches.

    Args:
        pool: name of the batching threads.
    """

    def __init__(self, pool: str = POOL):
        self._pool = pool
        root = "/tensorflow/serving/batching_session/"
        self._queuing_latency = Histogram(root + "queuing_latency", "thread_pool_name", limits=QUEUING)
        self._run_count = Counter(root + "wrapped_run_count")
        self._input_size = Histogram(root + "input_batch_size", limits=COUNTS)
        self._processed_size = Histogram(root + "processed_batch_size", limits=COUNTS)
        self._padding_size = Histogram(root + "padding_size", "execution_batch_size", limits=COUNTS)

    def observe(self, rows: int, padded: int, waited: float) -> None:
        """Counts a batch, as a `Batcher` tells of it.

        Args:
            rows: rows of the requests in it.
            padded: rows that were run.
            waited: seconds that its oldest request waited for it.
        """
        self._queuing_latency.add(waited * 1e6, self._pool)
        self._run_count.add()
        self._input_size.add(rows)
        self._processed_size.add(padded)
        self._padding_size.add(padded - rows, str(padded))


class Metrics:
    """Everything one server counts.

    Args:
        pool: name of the batching threads.

    Attributes:
        in_flight: the requests being answered, whatever stands for them; adding and discarding takes no lock.
        batching: for the batcher, which observes its batches by it.
        warmup_latency: us of replaying a warm-up file; labels model_path, status.
        warmup_records: records replayed; labels model_path, status.
        log_count: requests logged; labels model_name, status_code.
        counters: those under TF Serving's names, by them.
        registry: of prometheus_client, for metrics of our own.
    """

    def __init__(self, pool: str = POOL):
        serving = "/tensorflow/serving/"
        loader = "/tensorflow/cc/saved_model/"
        model_api = ("model_name", "API")
        self._request_latency = Histogram(serving + "request_latency", *model_api, "entrypoint", limits=LATENCIES)
        self._request_count = RequestCount(self._request_latency)
        self._runtime_latency = Histogram(serving + "runtime_latency", *model_api, "runtime", limits=LATENCIES)
        self._example_counts = Histogram(serving + "request_example_counts", "model", limits=COUNTS)
        self._example_count_total = Counter(serving + "request_example_count_total", "model")
        self.warmup_latency = Histogram(serving + "model_warmup_latency", "model_path", "status", limits=LATENCIES)
        self.warmup_records = Counter(serving + "model_warmup_records_read", "model_path", "status")
        self.log_count = Counter(serving + "request_log_count", "model_name", "status_code")
        self._load_attempts = Counter(loader + "load_attempt_count", "model_path", "status")
        self._load_latency = Counter(loader + "load_latency", "model_path")
        self.batching = BatchingMetrics(pool)
        own = [*vars(self).values(), *vars(self.batching).values()]
        self._parts = [metric for metric in own if isinstance(metric, Metric)]
        self.counters = {metric.name: metric for metric in self._parts if isinstance(metric, Counter)}
        self.in_flight: set[Any] = set()
        self.registry = CollectorRegistry()
        prometheus_client.ProcessCollector("metaprior", registry=self.registry)
        self._rejected = prometheus_client.Counter(
            "metaprior_rejected_requests", "Requests refused without a run.", ["reason"], registry=self.registry
        )
        self.watch("requests_in_flight", "Requests being answered.", lambda: len(self.in_flight))

    def answered(self, model: str, api: str, entrypoint: str, code: Code, seconds: float) -> None:
        """Counts an answered request.

        Args:
            model: the model's name, empty where the request named none.
            api: `Predict` and its like over gRPC; the verb of the path, or nothing, over REST.
            entrypoint: `GRPC` or `REST`.
            code: how it went.
            seconds: how long it took.
        """
        if code is Code.OK:
            self._request_latency.add(seconds * 1e6, model, api, entrypoint)
            return
        self._request_count.add(model, code.name)
        if code in REFUSALS:
            self._rejected.labels(code.name.lower()).inc()

    def refused(self, code: Code) -> None:
        """Counts a request that was refused before it was anybody's to count."""
        self._rejected.labels(code.name.lower()).inc()

    def ran(self, model: str, api: str, seconds: float) -> None:
        """Counts the run of a model for a request.

        Args:
            model: the model's name.
            api: `Predict`, `Classify` or `Regress`.
            seconds: from the request's being ready to run to its outputs.
        """
        self._runtime_latency.add(seconds * 1e6, model, api, "TF1")

    def counted(self, model: str, examples: int) -> None:
        """Counts the Examples of a request.

        Args:
            model: the model's name.
            examples: how many.
        """
        self._example_counts.add(examples, model)
        self._example_count_total.add(model, by=examples)

    @contextmanager
    def loading(self, path: Path) -> Iterator[None]:
        """Counts the load of a version that happens inside the block."""
        start = time.perf_counter()
        try:
            yield
        except ServingError:
            self._load_attempts.add(str(path), "fail")
            raise
        self._load_attempts.add(str(path), "success")
        self._load_latency.add(str(path), by=(time.perf_counter() - start) * 1e6)

    def watch(self, name: str, text: str, function: Callable[[], float]) -> None:
        """Shows what a function returns at each scrape as the gauge `metaprior_NAME`."""
        prometheus_client.Gauge(f"metaprior_{name}", text, registry=self.registry).set_function(function)

    def describe(self, versions: Callable[[], Iterable[tuple[str, int, str]]]) -> None:
        """Shows the served versions, asked for at each scrape.

        Args:
            versions: returns model's name, version and id of the embedding space (empty where unknown).
        """
        self.registry.register(VersionInfo(versions))

    def exposition(self) -> bytes:
        """Returns everything in Prometheus' text format."""
        lines = [line for part in self._parts for line in part.lines()]
        return ("\n".join(lines) + "\n").encode() + prometheus_client.generate_latest(self.registry)


def _label(pair: tuple[str, str]) -> str:
    name, value = pair
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'{name}="{escaped}"'
