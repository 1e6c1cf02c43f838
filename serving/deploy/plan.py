"""How a model is to be served in production: what was asked for, and what follows from it."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from serving.deploy.model import Model

MIB = 1 << 20
LARGEST_BATCH = 256
BATCH_BYTES = 32 * MIB
"""The most a batch's input may take, so that large images do not make gigabytes of one."""
BASE_MEMORY = 512
"""MiB of a server without a model."""
HEAVIER = 3
"""Memory of a loaded version in sizes of its files: weights, the graph's own form of them, and activations."""
STEP = 256
DRAIN_SECONDS = 15
STARTUP_SECONDS = 600


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A deployment of one model.

    Args:
        model: what is served.
        labels: versions by label; with labels, exactly their versions are loaded.
        latest: how many of the newest versions are loaded where there are no labels.
        only: the one version that is loaded; there are no labels then.
        replicas: the fewest servers on Kubernetes; load may make it `growth` times as many.
        cpus: cores of one server.
        host: address of this machine that Compose publishes ports on.
        above: the folder that holds the model's, as Compose finds it from the files' own folder.
        growth: how many times as many servers load may start.
    """

    model: Model
    labels: Mapping[str, int] = field(default_factory=dict)
    latest: int = 1
    only: int | None = None
    replicas: int = 2
    cpus: int = 2
    host: str = "127.0.0.1"
    above: str = ".."
    growth: int = 4

    @property
    def resource(self) -> str:
        """The model's name as Kubernetes takes it: small letters, digits and -, beginning with a letter."""
        name = re.sub(r"[^a-z0-9]+", "-", self.model.name.lower()).strip("-")[:40].rstrip("-")
        return name if name[:1].isalpha() else f"model-{name}".rstrip("-")

    @property
    def base_path(self) -> str:
        """The model's folder inside the container."""
        return f"/models/{self.model.name}"

    @property
    def versions(self) -> tuple[int, ...]:
        """The versions that are loaded because they are named, in ascending order; none where the newest are."""
        return (self.only,) if self.only is not None else tuple(sorted(set(self.labels.values())))

    @property
    def batched(self) -> bool:
        """Whether the server may run requests together."""
        return not self.model.faults

    @property
    def batch_sizes(self) -> tuple[int, ...]:
        """Powers of two: a batch is padded to at most twice its rows, and there are few shapes to compile for."""
        fitting = max(1, min(LARGEST_BATCH, BATCH_BYTES // max(self.model.row, 1)))
        return tuple(1 << power for power in range(fitting.bit_length()))

    @property
    def waiting_batches(self) -> int:
        """How many batches may wait: more than that is load to refuse or to start servers for."""
        return max(10, 8 * self.cpus)

    @property
    def memory(self) -> int:
        """MiB of one server. While a version is replaced there is one more of it."""
        loaded = 1 + (len(self.versions) or self.latest)
        needed = BASE_MEMORY + HEAVIER * loaded * self.model.size / MIB
        return STEP * math.ceil(needed / STEP)

    @property
    def memory_limit(self) -> int:
        """MiB after which a server is ended: twice the estimate, as activations depend on the requests."""
        return 2 * self.memory

    @property
    def storage(self) -> int:
        """GiB for the versions: room for twenty of the newest one's size."""
        return max(1, math.ceil(20 * self.model.size / (MIB << 10)))

    @property
    def drain_seconds(self) -> int:
        """Time between the end of new traffic and the end of the server, which drops what it is at."""
        return DRAIN_SECONDS

    @property
    def startup_seconds(self) -> int:
        """Time to load the first version."""
        return STARTUP_SECONDS

    @property
    def flags(self) -> tuple[str, ...]:
        """The server's flags; Compose and Kubernetes start it with the same."""
        return (
            "--port=8500",
            "--rest_api_port=8501",
            "--model_config_file=/config/models/models.config",
            "--model_config_file_poll_wait_seconds=10",
            *(["--allow_version_labels_for_unavailable_models=true"] if self.labels else []),
            "--file_system_poll_wait_seconds=5",
            # The server's only loading thread sleeps between tries, five times a minute by default.
            "--max_num_load_retries=2",
            "--load_retry_interval_micros=2000000",
            "--monitoring_config_file=/config/server/monitoring.config",
            *(
                ["--enable_batching=true", "--batching_parameters_file=/config/server/batching.config"]
                if self.batched
                else []
            ),
            # It would count the machine's cores, not the container's.
            f"--tensorflow_intra_op_parallelism={self.cpus}",
            f"--tensorflow_inter_op_parallelism={self.cpus}",
            "--enable_grpc_healthcheck_service=true",
            "--enable_profiler=false",
        )
