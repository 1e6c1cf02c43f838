"""What a server serves, as a metric."""

from collections.abc import Callable, Iterable, Iterator

from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily
from prometheus_client.registry import Collector


class VersionInfo(Collector):
    """The served versions as an information of value 1, asked for at each scrape.

    Args:
        versions: returns model's name, version and id of the embedding space (empty where unknown).
    """

    def __init__(self, versions: Callable[[], Iterable[tuple[str, int, str]]]):
        self._versions = versions

    def collect(self) -> Iterator[InfoMetricFamily | GaugeMetricFamily]:
        """Yields the metric as of now."""
        found = InfoMetricFamily("metaprior_model_version", "Served versions.", labels=["model_name", "version"])
        for model, version, space in self._versions():
            found.add_metric([model, str(version)], {"space": space})
        yield found
