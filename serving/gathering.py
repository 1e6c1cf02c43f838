"""The metrics of several workers as those of one server, whose counters never shrink."""

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping

import prometheus_client
from prometheus_client.core import CollectorRegistry, CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from serving import merging
from serving.merging import Family

REQUESTS = ":tensorflow:serving:request_count"


class Gathering(Collector):
    """What the workers have counted, those that are no more included, and the supervisor's own metrics.

    Args:
        workers: how many there are to be.
        ask: returns the expositions of the workers that serve, by number; one may be missing.
    """

    def __init__(self, workers: int, ask: Callable[[], Mapping[int, bytes]]):
        self._ask = ask
        self._restarts = dict.fromkeys(range(workers), 0)
        self._past: dict[int, dict[str, Family]] = defaultdict(dict)
        self._last: dict[int, dict[str, Family]] = {}
        self._serving = 0
        self._lock = threading.Lock()
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def ended(self, ordinal: int) -> None:
        """Keeps what a worker had counted when it was last asked: sums that shrink look like a new server's."""
        with self._lock:
            self._restarts[ordinal] += 1
            last = merging.growing(self._last.pop(ordinal, {}))
            self._past[ordinal] = merging.merged([self._past[ordinal], last])

    def exposition(self) -> bytes:
        """Returns the sums in Prometheus' text format; of workers that do not answer, their last answer counts."""
        # All the while: a worker that ends meanwhile must not be counted as present and as past.
        with self._lock:
            found = self._ask()
            self._last |= {ordinal: merging.read(text) for ordinal, text in found.items()}
            self._serving = len(self._last)
            whole = merging.merged(exposition for n in self._restarts for exposition in self._counted(n))
            return merging.written(whole) + prometheus_client.generate_latest(self._registry)

    def collect(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        """Yields the supervisor's own metrics as of now."""
        yield GaugeMetricFamily("metaprior_workers", "Workers that serve.", value=self._serving)
        restarts = CounterMetricFamily("metaprior_worker_restarts", "Times that a worker ended.", labels=["worker"])
        requests = CounterMetricFamily("metaprior_worker_requests", "Requests by worker.", labels=["worker"])
        for ordinal, ends in self._restarts.items():
            restarts.add_metric([str(ordinal)], ends)
            families = [exposition.get(REQUESTS, Family()) for exposition in self._counted(ordinal)]
            requests.add_metric([str(ordinal)], sum(sum(family.samples.values()) for family in families))
        yield restarts
        yield requests

    def _counted(self, ordinal: int) -> tuple[dict[str, Family], dict[str, Family]]:
        # The present first: its families come in the order of an exposition.
        return self._last.get(ordinal, {}), self._past[ordinal]
