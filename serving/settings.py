"""What a server's options and the files they name amount to, read before anything slow is imported."""

import os

from serving import configs
from serving.access import Access, RateLimit, Tokens
from serving.options import ANY_PORT, Options
from serving.textproto import METRICS_PATH, BatchingParameters, SSLConfig, read_batching, read_monitoring, read_ssl


def wanted(options: Options) -> list[configs.ModelConfig]:
    """Returns the models that a server starts with.

    Raises:
        ServingError: the configuration file cannot be used, or a model has no folder, or one elsewhere.
    """
    if options.model_config_file:
        found = configs.models(configs.read(options.model_config_file))
    else:
        base_path = configs.local(options.model_name, str(options.model_base_path or "")).resolve()
        only = None if options.only_version is None else frozenset({options.only_version})
        policy = configs.Policy(options.keep_versions, only)
        found = [configs.ModelConfig(options.model_name, base_path, policy)]
    for config in found:
        configs.require_folder(config)
    return found


def batching(options: Options) -> BatchingParameters | None:
    """Returns TF Serving's batching parameters, None where it would not batch.

    Raises:
        ServingError: their file cannot be used.
    """
    if not options.enable_batching:
        return None
    file = options.batching_parameters_file
    return read_batching(file) if file else BatchingParameters()


def metrics_path(options: Options) -> str | None:
    """Returns where Prometheus finds the metrics, None where it may not.

    Raises:
        ServingError: the monitoring file cannot be used.
    """
    if not options.monitoring_config_file:
        return METRICS_PATH if options.enable_metrics else None
    monitoring = read_monitoring(options.monitoring_config_file)
    return monitoring.path if monitoring.enable else None


def ssl(options: Options) -> SSLConfig | None:
    """Returns the keys and certificates of the gRPC port, None where it is not encrypted.

    Raises:
        ServingError: the file cannot be used.
    """
    return read_ssl(options.ssl_config_file) if options.ssl_config_file else None


def number(port: int | str) -> int:
    """Returns a port as sockets want it: 0 for any."""
    return 0 if port == ANY_PORT else int(port)


def check(options: Options) -> None:
    """Reads every file that a server's options name, for what is wrong with them.

    Raises:
        ServingError: one of them cannot be used.
    """
    for read in (wanted, batching, metrics_path, ssl, access):
        read(options)


def of_worker(options: Options, ordinal: int, ports: dict[str, int]) -> Options:
    """Returns what one of several workers is told: its share of the cores, and a request log of its own.

    Args:
        options: what the whole server was told.
        ordinal: the worker's number, from 0.
        ports: `port` and `rest_api_port`, as they were found free.
    """
    cores = max(len(os.sched_getaffinity(0)) // options.workers, 1)
    intra, inter = options.threads
    changed: dict[str, object] = {
        **ports,
        "tensorflow_session_parallelism": 0,
        "tensorflow_intra_op_parallelism": intra or cores,
        "tensorflow_inter_op_parallelism": inter or cores,
    }
    if options.request_log_folder:
        # A log has its folder for itself.
        changed["request_log_folder"] = options.request_log_folder / f"worker-{ordinal}"
        changed["request_log_max_bytes"] = max(options.request_log_max_bytes // options.workers, 1 << 20)
    return options.model_copy(update=changed)


def access(options: Options) -> Access:
    """Returns who may ask, and how often.

    Raises:
        ServingError: the file of tokens or the limit cannot be used.
    """
    tokens = Tokens(options.token_file) if options.token_file else None
    return Access(tokens, RateLimit(options.rate_limit) if options.rate_limit else None)
