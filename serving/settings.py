"""What a server's options and the files they name amount to, read before anything slow is imported."""

from pathlib import Path

from serving import configs
from serving.access import Access, RateLimit, Tokens
from serving.options import ANY_PORT, Options
from serving.textproto import METRICS_PATH, BatchingParameters, SSLConfig, read_batching, read_monitoring, read_ssl


def wanted(options: Options) -> list[configs.ModelConfig]:
    """Returns the models that a server starts with.

    Raises:
        ServingError: the configuration file cannot be used, or a model has no folder.
    """
    if options.model_config_file:
        found = configs.models(configs.read(options.model_config_file))
    else:
        base_path = Path(options.model_base_path or "").resolve()
        found = [configs.ModelConfig(options.model_name, base_path, configs.Policy(options.keep_versions))]
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


def access(options: Options) -> Access:
    """Returns who may ask, and how often.

    Raises:
        ServingError: the file of tokens or the limit cannot be used.
    """
    tokens = Tokens(options.token_file) if options.token_file else None
    return Access(tokens, RateLimit(options.rate_limit) if options.rate_limit else None)
